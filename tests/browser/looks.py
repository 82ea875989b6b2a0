"""What a page looks like, asked of the page itself."""

CONTRAST = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  const words = "h1, h2, a, b, p, li, dt, dd, q, label, button, summary, .soft, .chip, .address, .facts";
  for (const node of document.querySelectorAll(words)) {
    if (!node.offsetParent) continue;
    const pair = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(node.className + " " + node.tagName + " " + ratio.toFixed(2));
  }
  return poor;
}"""
"""Elements whose text has less contrast than WCAG 2.2, 1.4.3 asks for."""
