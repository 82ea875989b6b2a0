;;; reading.el --- What Gnus reads in calendar objects  -*- lexical-binding: t -*-

;; Reads every *.ics of the folder RIG_FOLDER, in the order of their names, as Gnus does with the calendar part of a mail, and
;; writes what it made of them to the file "read" there, as JSON: one object per file, moments in seconds since 1970.

(require 'gnus-icalendar)
(require 'json)

(defun rig-seconds (time)
  "TIME in whole seconds since 1970."
  (and time (time-convert time 'integer)))

(defun rig-read (file)
  "What Gnus makes of the first event in FILE."
  (with-temp-buffer
    (insert-file-contents file)
    (let ((event (gnus-icalendar-event-from-buffer (current-buffer) '("ola@ext.example"))))
      `((method . ,(gnus-icalendar-event:method event))
        (uid . ,(gnus-icalendar-event:uid event))
        (summary . ,(gnus-icalendar-event:summary event))
        (start . ,(rig-seconds (gnus-icalendar-event:start-time event)))
        (end . ,(rig-seconds (gnus-icalendar-event:end-time event)))
        (organizer . ,(gnus-icalendar-event:organizer event))
        (participants . ,(vconcat (gnus-icalendar-event:req-participants event)))
        (asked . ,(if (gnus-icalendar-event:rsvp event) t :json-false))
        (frequency . ,(if (gnus-icalendar-event:recurring-p event) (gnus-icalendar-event:recurring-freq event) ""))
        (interval . ,(if (gnus-icalendar-event:recurring-p event) (gnus-icalendar-event:recurring-interval event) ""))))))

(let* ((coding-system-for-read 'utf-8-dos)
       (folder (getenv "RIG_FOLDER"))
       (read (mapcar #'rig-read (directory-files folder t "\\.ics\\'")))
       (coding-system-for-write 'utf-8-unix))
  (with-temp-file (expand-file-name "read" folder)
    (insert (json-encode (vconcat read)))))

;;; reading.el ends here
