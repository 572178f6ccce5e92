#!/bin/sh
# mmdebstrap's customize hook: turns the fresh Debian in $1 into the lab's Debian 13 AMI.
# Beside this file: root/ (copied over the image) and packages.offered (what the local repository offers).
set -eu
root=$1
recipe=$(dirname "$0")

# The repository in the image offers the listed packages and whatever they need that the image lacks.
offer_packages() {
  repository=$root/opt/packages
  mkdir -p "$repository/partial"
  APT_CONFIG=$MMDEBSTRAP_APT_CONFIG xargs apt-get install --yes --download-only --no-install-recommends \
    -o Dir::Cache::Archives="$repository/" -o APT::Keep-Downloaded-Packages=true <"$recipe/packages.offered"
  rm -rf "$repository/partial" "$repository/lock"
  for deb in "$repository"/*.deb; do
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
      "${deb##*/}" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
  done >"$repository/Packages"
  printf 'Origin: barton-lab\nSuite: trixie\nDate: %s\nSHA256:\n %s %s Packages\n' "$(LC_ALL=C date -Ru)" \
    "$(sha256sum "$repository/Packages" | cut -d' ' -f1)" "$(stat -c %s "$repository/Packages")" >"$repository/Release"
  # The only source: no registry of the host that built the image gets into it.
  rm -rf "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/*
  echo 'deb [trusted=yes] file:/opt/packages ./' >"$root/etc/apt/sources.list"
}

# What does nothing useful in a machine that lives for an hour, but costs boot time on two shared cores.
strip_boot() {
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer man-db.timer systemd-pstore.service getty@tty1.service getty.target console-getty.service \
    systemd-timesyncd.service cloud-init-hotplugd.socket remote-fs.target systemd-udevd.service \
    systemd-udev-trigger.service systemd-hwdb-update.service systemd-journal-flush.service \
    systemd-update-utmp-runlevel.service systemd-logind.service systemd-network-generator.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
}

offer_packages
strip_boot
cp -a "$recipe/root/." "$root/"
chroot "$root" systemctl enable systemd-networkd.service systemd-networkd-wait-online.service ssh.service
ln -sf /run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
# Each instance gets its own.
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/hostname "$root"/var/lib/dbus/machine-id
# Traces of the host that built the image.
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
chroot "$root" apt-get update
