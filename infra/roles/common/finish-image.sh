# shellcheck shell=sh
# `pulumi up` runs this on a builder, as root, over ssh. It waits until cloud-init has prepared the machine, then removes everything
# that must not be the same on two machines. Standard input, if any, is for the role's own prepare-image.
set -eu

cloud-init status --wait >/dev/null || true # a failure is reported below, with the log
if [ -x /usr/local/lib/barton/prepare-image ]; then
  /usr/local/lib/barton/prepare-image
fi
# The roles' files are for this release's haproxy, redis and cloud-init.
release=$(. /etc/os-release && echo "$ID $VERSION_ID")
if [ "$release" != "debian 13" ]; then
  echo "The builder $(hostname) runs $release, but barton's machines need Debian 13: set barton:baseAmi to an image of it (Pulumi.barton.yaml says how)." >&2
  exit 1
fi
if ! [ -e /var/lib/barton/baked ]; then
  echo "The builder $(hostname) did not become an image: cloud-init ended before the mark. The end of its log:" >&2
  tail -n 40 /var/log/cloud-init-output.log >&2
  echo "Repair the cause, then replace the builder: pulumi state taint on its URN (named above), and pulumi up." >&2
  exit 1
fi

install -m 0644 /var/lib/barton/cloud-init.cfg /etc/cloud/cloud.cfg.d/95-barton.cfg
# Updates come with a new image, one machine at a time, never by a restart of redis at an unplanned time.
systemctl disable --now --quiet apt-daily.timer apt-daily-upgrade.timer 2>/dev/null || true
apt-get clean
rm -rf /var/lib/apt/lists/* /var/lib/barton/baked /var/lib/barton/cloud-init.cfg
# The identity of this machine: each new machine gets its own keys.
rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -f /var/lib/systemd/random-seed /var/lib/dhcp/* /root/.bash_history
cloud-init clean --logs
# Empty, not absent: absent means "first boot" to systemd, which would enable every unit that Debian's presets name.
: >/etc/machine-id
rm -rf /var/log/journal/*
sync
