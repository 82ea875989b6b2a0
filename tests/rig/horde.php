<?php
/**
 * Horde (Kolab, IMP) as an invitee: reads a message on standard input and answers the invitation in it by SMTP.
 *
 * Usage: php horde.php SMTP_PORT ADDRESS NAME accept|decline|tentative < MESSAGE
 * Exit code 1 and a line on standard error if there is no invitation in the message or the answer cannot be sent.
 */

require_once 'Horde/Autoloader/Default.php';
// Horde 5 still runs on PHP 8, with deprecations; they are not what is tested.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);

function fail($why)
{
    fwrite(STDERR, $why . "\n");
    exit(1);
}

function calendarText($message)
{
    foreach ($message->partIterator() as $part) {
        if ($part->getType() == 'text/calendar') {
            return $part->getContents();
        }
    }
    fail('No text/calendar part in the message.');
}

function invitation($text)
{
    $calendar = new Horde_Icalendar();
    if (!$calendar->parsevCalendar($text)) {
        fail('The calendar cannot be read.');
    }
    if ($calendar->getAttribute('METHOD') != 'REQUEST') {
        fail('No invitation, but METHOD:' . $calendar->getAttribute('METHOD'));
    }
    foreach ($calendar->getComponents() as $component) {
        if ($component instanceof Horde_Icalendar_Vevent) {
            return $component;
        }
    }
    fail('No VEVENT in the calendar.');
}

function response($action, $resource)
{
    switch ($action) {
    case 'accept':
        return new Horde_Itip_Response_Type_Accept($resource);
    case 'decline':
        return new Horde_Itip_Response_Type_Decline($resource);
    case 'tentative':
        return new Horde_Itip_Response_Type_Tentative($resource);
    }
    fail("Unknown action $action");
}

list(, $port, $address, $name, $action) = $argv;
// What Horde's web server sets, and its Message-ID needs.
$_SERVER['SERVER_NAME'] = substr(strrchr($address, '@'), 1);

$message = Horde_Mime_Part::parseMessage(stream_get_contents(STDIN));
$event = invitation(calendarText($message));
$resource = new Horde_Itip_Resource_Base($address, $name);
$transport = new Horde_Mail_Transport_Smtphorde(
    array('host' => '127.0.0.1', 'port' => (int)$port, 'secure' => false, 'localhost' => 'localhost')
);
try {
    Horde_Itip::factory($event, $resource)->sendMultipartResponse(
        response($action, $resource),
        new Horde_Itip_Response_Options_Horde('UTF-8', array()),
        $transport
    );
} catch (Exception $e) {
    fail($e->getMessage());
}
