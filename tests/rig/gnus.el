;;; gnus.el --- Gnus as an invitee  -*- lexical-binding: t -*-

;; Opens the newest invitation in an IMAP INBOX and answers it with Gnus' own command, as its user would by "i a", "i d" or
;; "i t".  Everything comes from the environment: RIG_IMAP_PORT, RIG_SMTP_PORT, RIG_USER, RIG_ADDRESS, RIG_NAME,
;; RIG_ACTION (accept, decline or tentative); HOME holds .authinfo.  Exit code 1 if there is no invitation to answer.

(require 'nsm)
;; There is nobody to ask, and nothing to verify: loopback without TLS.
(defun nsm-verify-connection (process &rest _) process)

(require 'gnus)
(require 'gnus-sum)
(require 'gnus-art)
(require 'gnus-icalendar)
(require 'message)
(require 'smtpmail)

(setq user-full-name (getenv "RIG_NAME")
      user-mail-address (getenv "RIG_ADDRESS")
      auth-sources (list (expand-file-name "~/.authinfo"))
      gnus-select-method '(nnnil "")
      gnus-secondary-select-methods
      `((nnimap "ext"
                (nnimap-address "127.0.0.1")
                (nnimap-server-port ,(string-to-number (getenv "RIG_IMAP_PORT")))
                (nnimap-stream network)
                (nnimap-user ,(getenv "RIG_USER"))))
      gnus-message-highlight-citation nil
      gnus-novice-user nil
      gnus-interactive-exit nil
      gnus-save-newsrc-file nil
      gnus-use-dribble-file nil
      gnus-large-newsgroup nil
      ;; The newest is the highest number.
      gnus-thread-sort-functions '(gnus-thread-sort-by-number)
      message-send-mail-function #'smtpmail-send-it
      message-confirm-send nil
      send-mail-function #'smtpmail-send-it
      smtpmail-smtp-server "127.0.0.1"
      smtpmail-smtp-service (string-to-number (getenv "RIG_SMTP_PORT"))
      smtpmail-stream-type nil)

(defun rig-invitation-p ()
  "Whether the article being shown is an invitation."
  (with-current-buffer gnus-article-buffer
    (and gnus-icalendar-event (gnus-icalendar-event-request-p gnus-icalendar-event))))

(defun rig-open-newest-invitation ()
  "Show the newest invitation of the group, or return nil."
  (seq-find (lambda (number)
              (gnus-summary-goto-article number nil t)
              (gnus-summary-select-article nil t)
              (rig-invitation-p))
            (sort (copy-sequence gnus-newsgroup-articles) #'>)))

(gnus-icalendar-setup)
(gnus)
(gnus-group-read-group nil t "nnimap+ext:INBOX")
(unless (rig-open-newest-invitation)
  (message "No invitation in the INBOX of %s" (getenv "RIG_USER"))
  (kill-emacs 1))
(pcase (getenv "RIG_ACTION")
  ("accept" (gnus-icalendar-reply-accept))
  ("decline" (gnus-icalendar-reply-decline))
  ("tentative" (gnus-icalendar-reply-tentative))
  (action (message "Unknown action %s" action)
          (kill-emacs 2)))
(kill-emacs 0)

;;; gnus.el ends here
