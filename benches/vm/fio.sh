# shellcheck shell=bash disable=SC2154,SC2317 source-path=SCRIPTDIR
# Runs bench-fio on a null_blk device: one that answers at once, or for --agree one that answers after
# 20 ms. The file `arguments` in the payload has its arguments.
# shellcheck source=../../agent/tests/vm/scripts/lib.sh
. ./lib.sh
install_instore
read -ra arguments <./arguments
# What fio needs comes with it; the other programs keep to the guest's own.
mkdir /run/fio
mv ./*.so* ./fio /run/fio/
printf '#!/bin/sh\nLD_LIBRARY_PATH=/run/fio exec /run/fio/fio "$@"\n' >/usr/local/bin/fio
chmod +x /usr/local/bin/fio

settings='irqmode=0 completion_nsec=0'
[[ " ${arguments[*]} " != *" --agree "* ]] || settings='irqmode=2 completion_nsec=20000000'
# Through the queues of the kernel, without storing anything.
# shellcheck disable=SC2086
modprobe null_blk queue_mode=2 memory_backed=0 gb=1 nr_devices=1 $settings || fail "no null_blk"
udevadm settle
echo "null_blk $settings, Linux $(uname -r)"
mkdir -p /run/tmp
TMPDIR=/run/tmp ./bench-fio /usr/local/bin/instore --device /dev/nullb0 --runtime 3 "${arguments[@]}" ||
    fail "bench-fio ended with $?"
exit 0
