#!/bin/busybox sh
# The tour of a Linux through our machine: every device is found by Linux's own drivers, data comes back as it was written, every card is ejected by
# pciehp while I/O is in flight and comes back, and no driver complains. It runs from the root disk, a virtio-blk card that stays.
b=/bin/busybox
pci=/sys/bus/pci
rounds=${rounds:-2}
# Hundredths of a second that twenty processes take on a host too slow for Linux; a quiet one takes fifty.
SLOW=150
$b mount -t proc none /proc; $b mount -t sysfs none /sys

# Says what is wrong last: the lab shows the end of what it was told.
wrong() { $b dmesg | $b tail -n 60; echo "guest: WRONG: $*"; $b poweroff -f; while :; do $b sleep 9; done; }
is() { [ "$($b cat $1)" = "$2" ] && echo "guest: $1 is $2" || wrong "$1 is $($b cat $1), not $2"; }
there() { n=0; while [ ! -e $1 ]; do $b usleep 100000; n=$((n+1)); [ $n -lt 600 ] || wrong "there is no $1"; done; echo "guest: $1 is there"; }
gone() { n=0; while [ -e $1 ]; do $b usleep 100000; n=$((n+1)); [ $n -lt 600 ] || wrong "$1 is still there"; done; echo "guest: $1 is gone"; }
all() { for file in $devices; do $1 $file; done; node_$1; }
usb=/sys/bus/usb/devices
devices="/dev/sda /dev/sdb /dev/vdb /dev/ttyACM0 $pci/devices/0000:01:00.0 $usb/1-2/product $usb/1-4.2/product"

# The plain FireWire node has no driver here: firewire_core reads its configuration ROM, and shows it. It is known by its unit's specifier and version.
node() {
    for device in /sys/bus/firewire/devices/fw*; do
        [ -e $device/units ] && [ "$($b cat $device/units 2>/dev/null)" = 0x025747:0x000001 ] && echo $device
    done
}
node_there() { n=0; while [ -z "$(node)" ]; do $b usleep 100000; n=$((n+1)); [ $n -lt 600 ] || wrong "there is no FireWire node"; done; echo "guest: $(node) is there"; }
node_gone() { n=0; while [ -n "$(node)" ]; do $b usleep 100000; n=$((n+1)); [ $n -lt 600 ] || wrong "the FireWire node is still there"; done; echo "guest: the FireWire node is gone"; }
# What its configuration ROM says, the same each time that it comes back.
node_is_known() {
    device=$(node)
    is $device/vendor 0x025747
    is $device/vendor_name Workgate
    is $device/model 0x000001
    is $device/${device##*/}.0/specifier_id 0x025747
    guid=${guid:-$($b cat $device/guid)}
    is $device/guid $guid
}

# sbp2's probe wants the bus generation in which its unit was found, and gives up (-12) when the bus manager's gap count reset comes between: then, and only
# then, it is asked again.
attached() {
    n=0
    while [ ! -e $1 ]; do
        for unit in /sys/bus/firewire/devices/fw*.0; do
            [ -e $unit ] && [ ! -e $unit/driver ] && [ "$($b cat $unit/specifier_id)" = 0x00609e ] && echo ${unit##*/} > /sys/bus/firewire/drivers_probe
        done
        $b usleep 500000; n=$((n+1)); [ $n -lt 120 ] || wrong "there is no $1"
    done
}

# How fast this machine is: what twenty processes take, in hundredths of a second.
hundredths() { read -r up idle < /proc/uptime; echo ${up%.*}${up#*.}; }
begin=$(hundredths)
for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do $b true; done
took=$(($(hundredths) - begin))
echo "guest: twenty processes take $took hundredths of a second"

# Linux gives a FireWire transaction two seconds, which on a host that is many times too slow are over before its own interrupts are served. There, and only there,
# what it gave up on is asked for again.
again() {
    n=0
    until "$@"; do
        n=$((n+1)); [ $took -ge $SLOW ] && [ $n -lt 5 ] || return 1
        echo "guest: this host is slow, and Linux gave up: again, $*"
    done
}

# What was written is read back from the device, not from the cache.
put() { $b dd if=/written of=/dev/$1 bs=64k count=8 conv=fsync 2>/dev/null; }
copy() {
    $b dd if=/dev/urandom of=/written bs=64k count=8 2>/dev/null
    again put $1 || wrong "/dev/$1 cannot be written"
    echo 1 > /proc/sys/vm/drop_caches
    $b dd if=/dev/$1 of=/read bs=64k count=8 2>/dev/null
    $b cmp /written /read && echo "guest: /dev/$1 keeps what it is given" || wrong "/dev/$1 does not keep what it is given"
}

# The root disk keeps its files, too, whatever cards come and go beside it: what is read is on the disk, and not in memory. Their sums are for whoever looks
# at the disk when this Linux has gone.
keep() {
    $b dd if=/dev/urandom of=/kept/$1 bs=64k count=16 conv=fsync 2>/dev/null || wrong "the root disk cannot be written"
    $b sha256sum /kept/$1 >> /kept/sums
}
kept() {
    $b sync
    echo 3 > /proc/sys/vm/drop_caches
    $b sha256sum -c /kept/sums || wrong "the root disk does not keep what it is given"
}
finish() {
    $b mount -o remount,ro / || wrong "the root disk cannot be made read-only"
    kept
    echo "guest: no driver complains"
    $b poweroff -f
    while :; do $b sleep 9; done
}

# A serial port gives back what it is sent.
loop_back() {
    $b stty -F /dev/ttyACM0 raw -echo
    ($b timeout 60 $b head -n 1 /dev/ttyACM0 > /heard) &
    heard=$!
    $b sleep 1
    echo "once more" > /dev/ttyACM0
    wait $heard
    is /heard "once more"
}

$b grep -q "^/dev/vda / ext4 " /proc/mounts || wrong "the root disk is not the root: $($b cat /proc/mounts)"
there $pci/devices/0000:02:00.0/virtio*/block/vda
: > /kept/sums
keep first
for module in /modules/*.ko; do $b insmod $module || wrong "$module"; done
is /sys/devices/system/cpu/online 0-1
is $pci/devices/0000:01:00.0/vendor 0x1234
is $pci/devices/0000:01:00.0/device 0x11e8
is $pci/slots/1/adapter 1

# The other tour: the plan beneath this machine tears out one thing after the other and puts it back, while both disks are written to, each time the bell is
# rung: a write to a register of the card in slot 5. Linux must miss each thing, find it again, and run into none of its own alarms. Disks are looked for
# below their device: whoever still has the old one open keeps its name from the new one.
stick="$usb/1-1:1.0/host*/target*/*/block/sd*"
fire="/sys/bus/firewire/devices/fw*.0/host*/target*/*/block/sd*"
hang() { for disk in $1; do [ -e $disk ] && echo /dev/${disk##*/}; done; }
ring() { $b devmem $bell 32 1 || wrong "the bell cannot be rung"; }
since() { read -r up idle < /proc/uptime; echo "guest: at $up s: $*"; }
torn_out() {
    ring; gone "$1"
    ring; [ "$1" = "$fire" ] && attached "$fire"
    there "$1"
}
node_torn_out() { ring; node_gone; ring; node_there; }
if [ "$tour" = surprise ]; then
    card=$pci/devices/$($b cat $pci/slots/5/address).0
    echo 1 > $card/enable
    read -r address rest < $card/resource
    bell=$((address + 4))
    for disk in "$stick" "$fire"; do
        (while :; do for node in $(hang "$disk"); do $b dd if=/dev/zero of=$node bs=64k count=200 oflag=direct 2>/dev/null; done; $b usleep 100000; done) &
    done
    round=1
    while [ $round -le $rounds ]; do
        since "round $round"
        attached "$fire"
        for file in "$stick" "$fire" /dev/ttyACM0 $pci/devices/0000:01:00.0 $usb/1-2/product $usb/1-4.2/product; do there "$file"; done
        node_there
        node_is_known
        torn_out "$stick"
        torn_out $usb/1-4.2/product
        torn_out "$fire"
        node_torn_out
        torn_out $usb/1-2/product
        torn_out "$fire"
        torn_out $pci/devices/0000:01:00.0
        round=$((round+1))
    done
    attached "$fire"
    for file in "$stick" "$fire" /dev/ttyACM0 $usb/1-2/product $usb/1-4.2/product; do there "$file"; done
    node_there
    node_is_known
    since "all is back"
    $b dmesg | $b grep -E "WARNING: CPU|BUG:|Oops|blocked for more than|refcount|Call Trace" > /complaints
    [ -s /complaints ] && wrong "the kernel raises an alarm: $($b cat /complaints)"
    finish
fi

round=1
while [ $round -le $rounds ]; do
    echo "guest: round $round"
    attached /dev/sdb
    all there
    is $usb/1-1/product "Workgate stick"
    is $usb/1-2/product "Workgate keyboard"
    is $usb/1-4.2/product "Workgate mouse"
    is $usb/1-2:1.0/bInterfaceProtocol 01
    is $usb/1-4.2:1.0/bInterfaceProtocol 02
    for disk in sda sdb vdb; do copy $disk; done
    loop_back
    node_is_known
    for disk in sda sdb vdb; do ($b dd if=/dev/zero of=/dev/$disk bs=64k count=200 oflag=direct 2>/dev/null &); done
    keep beside-$round & keeper=$!
    $b usleep 300000
    for slot in 3 4 5 1; do echo 0 > $pci/slots/$slot/power; done
    all gone
    wait $keeper || wrong "the root disk was not written"
    for slot in 1 3 4 5; do echo 1 > $pci/slots/$slot/power; done
    round=$((round+1))
done
attached /dev/sdb
all there
node_is_known
for disk in sda sdb vdb; do copy $disk; done

# What was in flight when its card was ejected has failed, and that is said by who asked for it: the block layer, and usbhid, whose next transfer finds
# no device (-19), and which on a slow host has the time to ask for a reset of it (-108: the controller is shut down). A probe of sbp2's that met a bus
# reset has been repeated above. Nothing else may be said.
gone="(status|error) -(19|108)$"
$b dmesg -r | $b grep "^<[0-4]>" | $b grep -iE "xhci|usb|hid|cdc_acm|firewire|sbp2|pciehp|virtio|edu|ext4|jbd2|vda" | $b grep -vE "$gone|firewire_sbp2: probe of fw[0-9]+.0 failed with error -12" > /complaints
[ -s /complaints ] && wrong "a driver complains: $($b cat /complaints)"
finish
