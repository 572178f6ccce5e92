# Sends packets on that the firewall has given another protocol number (see late-syns.ts), after a delay.
#
# usage: perl late-syns.pl PROTOCOL DELAY_MS
#
# A packet of that protocol is a TCP segment that has no receiver. After the delay it is sent as what it was, with a TTL by
# which the firewall knows it. Node has no raw sockets; Perl is in every Debian.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(time);

my ($protocol, $delayMs) = @ARGV;
socket(my $in, PF_INET, SOCK_RAW, $protocol) or die "raw socket: $!";
socket(my $out, PF_INET, SOCK_RAW, 255) or die "raw socket: $!"; # IPPROTO_RAW: with an IP header of ours
$| = 1;
print "ready\n";

sub checksum {
    my ($bytes) = @_;
    $bytes .= "\0" if length($bytes) % 2;
    my $sum = 0;
    $sum += $_ for unpack("n*", $bytes);
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return ~$sum & 0xffff;
}

my @late;
while (1) {
    my $wait = @late ? $late[0][0] - time() : undef;
    $wait = 0 if defined $wait && $wait < 0;
    my $readable = "";
    vec($readable, fileno($in), 1) = 1;
    if (select($readable, undef, undef, $wait) > 0) {
        recv($in, my $packet, 65536, 0);
        push @late, [time() + $delayMs / 1000, $packet];
    }
    while (@late && $late[0][0] <= time()) {
        my $packet = (shift @late)->[1];
        my $headerLength = 4 * (ord($packet) & 15);
        substr($packet, 8, 1) = chr(63);    # TTL
        substr($packet, 9, 1) = chr(6);     # TCP
        substr($packet, 10, 2) = "\0\0";    # the kernel fills in the sum of the IP header
        my $segment = substr($packet, $headerLength);
        substr($segment, 16, 2) = "\0\0";
        my $pseudo = substr($packet, 12, 8) . pack("CCn", 0, 6, length($segment));
        substr($segment, 16, 2) = pack("n", checksum($pseudo . $segment));
        substr($packet, $headerLength) = $segment;
        my $receiver = substr($packet, 16, 4);
        send($out, $packet, 0, pack_sockaddr_in(0, $receiver)) or warn "send: $!";
    }
}
