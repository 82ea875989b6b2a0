<?php
/**
 * What Horde (Kronolith, IMP, Kolab) reads in calendar objects, with its own parser and its own recurrence.
 *
 * Usage: php reading.php FOLDER ZONE BEFORE. Reads every *.ics of FOLDER in the order of their names and writes to FOLDER/read,
 * as JSON, one list of events per file: moments in seconds since 1970, and the dates of each up to BEFORE, as Kronolith
 * makes them: the rule, without the days of EXDATE.
 */

require_once 'Horde/Autoloader/Default.php';
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);

list(, $folder, $zone, $before) = $argv;
date_default_timezone_set($zone);

function attribute($event, $name, $otherwise = null)
{
    try {
        return $event->getAttribute($name);
    } catch (Horde_Icalendar_Exception $e) {
        return $otherwise;
    }
}

/** A moment, or midnight of a day, in seconds. */
function seconds($value)
{
    return is_array($value) ? mktime(0, 0, 0, $value['month'], $value['mday'], $value['year']) : $value;
}

/** The zone of an event: that of its DTSTART, as Kronolith has it, else the reader's. */
function zone($event)
{
    $parameters = $event->getAttribute('DTSTART', true);
    return isset($parameters[0]['TZID']) ? $parameters[0]['TZID'] : date_default_timezone_get();
}

function dates($event, $before)
{
    $start = new Horde_Date(seconds($event->getAttribute('DTSTART')));
    $start->setTimezone(zone($event));
    $rule = attribute($event, 'RRULE', '');
    if ($rule === '') {
        return array($start->toDateTime()->getTimestamp());
    }
    $recurrence = new Horde_Date_Recurrence($start);
    $recurrence->fromRRule20($rule);
    foreach (attribute($event, 'EXDATE') === null ? array() : $event->getAttributeValues('EXDATE') as $day) {
        $recurrence->addException($day['year'], $day['month'], $day['mday']);
    }
    $found = array();
    $next = $recurrence->nextActiveRecurrence($start);
    while ($next && $next->toDateTime()->getTimestamp() < $before) {
        $found[] = $next->toDateTime()->getTimestamp();
        $next->mday++;
        $next->hour = 0;
        $next = $recurrence->nextActiveRecurrence($next);
    }
    return $found;
}

function people($event)
{
    $found = array();
    $addresses = $event->getAttribute('ATTENDEE');
    $parameters = $event->getAttribute('ATTENDEE', true);
    foreach (is_array($addresses) ? $addresses : array($addresses) as $index => $address) {
        $found[] = array(preg_replace('/^mailto:/i', '', $address), $parameters[$index]['CN'], $parameters[$index]['PARTSTAT']);
    }
    return $found;
}

$read = array();
foreach (glob("$folder/*.ics") as $file) {
    $calendar = new Horde_Icalendar();
    if (!$calendar->parsevCalendar(file_get_contents($file))) {
        fwrite(STDERR, "$file cannot be read.\n");
        exit(1);
    }
    $events = array();
    foreach ($calendar->getComponents() as $event) {
        if (!($event instanceof Horde_Icalendar_Vevent)) {
            continue;
        }
        $end = attribute($event, 'DTEND');
        $name = attribute($event, 'RECURRENCE-ID');
        $events[] = array(
            'method' => $calendar->getAttribute('METHOD'),
            'uid' => $event->getAttribute('UID'),
            'summary' => $event->getAttribute('SUMMARY'),
            'organizer' => preg_replace('/^mailto:/i', '', $event->getAttribute('ORGANIZER')),
            'name' => $name === null ? null : seconds($name),
            'start' => seconds($event->getAttribute('DTSTART')),
            'end' => $end === null ? null : seconds($end),
            'participants' => people($event),
            'dates' => dates($event, (int)$before),
        );
    }
    $read[] = $events;
}
file_put_contents("$folder/read", json_encode($read));
