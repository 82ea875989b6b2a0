# Mail::DKIM (what SpamAssassin and amavis verify with) as the judge of signed messages; DNS is a zone file.
#
# Usage: perl mail_dkim.pl ZONE_FILE < MESSAGES, with a NUL between them.
# Prints a line for each: "pass", or what is wrong. Mail::DKIM of Debian 12 knows no Ed25519.

use strict;
use warnings;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Net::DNS;
use Net::DNS::ZoneFile;

package Zone;

sub new { my ($class, @records) = @_; return bless {records => \@records}, $class }

sub send {
    my ($self, $name, $type) = @_;
    my $packet = Net::DNS::Packet->new($name, $type);
    my @found = grep { lc($_->owner) eq lc($name) && $_->type eq $type } @{$self->{records}};
    $packet->push(answer => @found);
    $packet->header->rcode(@found ? 'NOERROR' : 'NXDOMAIN');
    return $packet;
}

sub errorstring { return 'NOERROR' }

package main;

Mail::DKIM::DNS::resolver(Zone->new(Net::DNS::ZoneFile->new($ARGV[0])->read));
binmode STDIN;
local $/ = "\0";
while (my $message = <STDIN>) {
    chomp $message;
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT($message);
    $verifier->CLOSE;
    print $verifier->result_detail, "\n";
}
