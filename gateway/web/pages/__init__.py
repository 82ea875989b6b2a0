"""The pages of CRM users, by what they show. Each module has its routes; `visit` is how a page is
read, shown and written, `words` what a reader sees in the place of codes.
"""
