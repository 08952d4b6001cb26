# A disk for each member, and what goes wrong with it. Read by chaos.sh.
# shellcheck shell=bash

make_disks() {
  local id
  for ((id = 1; id <= NODES; id++)); do
    truncate -s 1G "$WORK/disk-$id"
    mkfs.ext4 -q -F "$WORK/disk-$id"
  done
}

# Moves the data of each member, which is stopped, to its disk.
move_to_disks() {
  local id
  for id in "${IDS[@]}"; do
    mv "${DATA[$id]}" "$WORK/moved-$id"
    mkdir "${DATA[$id]}"
    mount -o loop "$WORK/disk-$id" "${DATA[$id]}"
    rmdir "${DATA[$id]}/lost+found"
    cp -a "$WORK/moved-$id/." "${DATA[$id]}"
    sync -f "${DATA[$id]}"
    rm -rf "${WORK:?}/moved-$id"
  done
}

cut_power() {
  local id
  began 'power of all cut'
  for id in "${IDS[@]}"; do
    # FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: what was not synced is gone, the file system's journal too.
    perl -e 'open(my $disk, "<", $ARGV[0]) or die "$!"; my $flags = pack("L", 2); ioctl($disk, 0x8004587d, $flags) or die "$!"' "${DATA[$id]}" ||
      fail "the power of member $id cannot be cut"
  done
  for id in "${IDS[@]}"; do signal_member KILL "$id" || true; done
  for id in "${IDS[@]}"; do
    wait_gone "$id" 5 || fail "member $id cannot be killed"
    until_true 5 umount "${DATA[$id]}" || fail "the disk of member $id is still in use"
    mount -o loop "$WORK/disk-$id" "${DATA[$id]}"
  done
  bring_back "${IDS[@]}"
}

# The disk of one, or of all, has no room: new charges are refused, and the members run on.
fill_disk() {
  local id victims
  pick
  draw 2
  victims=("$VICTIM")
  ((DRAWN == 0)) || victims=("${IDS[@]}")
  began "disk of node ${victims[*]} full"
  for id in "${victims[@]}"; do
    # 64 MiB are kept in reserve unless the operator chose otherwise; half of them are left.
    fallocate -l $(($(df --output=avail -B1 "${DATA[$id]}" | tail -n 1) - (32 << 20))) "${DATA[$id]}/stranger" || fail "the disk of member $id cannot be filled"
  done
  for id in "${victims[@]}"; do
    until_true 10 says_full "$id" || broken "member $id does not say that its disk is full: $(http_get "${API[$id]}" /readyz || true)"
  done
  last
  for id in "${victims[@]}"; do
    rm -f "${DATA[$id]:?}/stranger"
    # Else a power cut soon after brings the file back, and the disk is full for good.
    sync -f "${DATA[$id]}"
  done
}
says_full() { [[ $(http_get "${API[$1]}" /readyz || true) == *'no room'* ]]; }

# ---- faults that a loaded library plays: see tests/shim/disk_faults.c -----------------------------------------------

disk_fault() {
  printf '%s\n' "$2" >"$WORK/.fault-$1"
  mv "$WORK/.fault-$1" "$WORK/fault-$1"
}
stall_disk() { pick; began "disk of node $VICTIM stalls"; disk_fault "$VICTIM" stall; last; disk_fault "$VICTIM" none; }
slow_disk() {
  pick
  draw 80
  began "disk of node $VICTIM slower by $((20 + DRAWN)) ms"
  disk_fault "$VICTIM" "slow $((20 + DRAWN))"
  last
  disk_fault "$VICTIM" none
}
# The node must stop by itself, at once, and say why.
fail_sync() {
  pick
  began "syncs of node $VICTIM fail"
  disk_fault "$VICTIM" fail
  wait_gone "$VICTIM" 10 || broken "member $VICTIM runs on, though its syncs fail"
  grep -q '^etebar-node: member stopped: .*Input/output error' < <(tail -n 50 "${LOG[$VICTIM]}") ||
    broken "member $VICTIM does not say why it stopped: $(tail -n 1 "${LOG[$VICTIM]}")"
  disk_fault "$VICTIM" none
  bring_back "$VICTIM"
}
# A write stops in its middle, and the process with it.
tear_write() {
  pick
  began "a write of node $VICTIM torn"
  disk_fault "$VICTIM" tear
  wait_gone "$VICTIM" 20 || broken "member $VICTIM wrote nothing for 20 s"
  disk_fault "$VICTIM" none
  last
  bring_back "$VICTIM"
}

# ---- damage ---------------------------------------------------------------------------------------------------------

# Our own child, so its number is nobody else's; on its way to exec it is no etebar-node yet, and has not ended.
has_ended() { ! kill -0 "${PID[$1]}" 2>/dev/null; }
# refused MEMBER WORDS: starts a member whose data is not as it left them. It must end by itself and say these words.
refused() {
  lock_cluster
  launch "$1"
  write_cluster
  unlock_cluster
  until_true "$START_SECONDS" has_ended "$1" || broken "member $1 serves though its data were damaged"
  grep -q "$2" < <(tail -n 3 "${LOG[$1]}") || broken "member $1 was refused without a word on what to do: $(tail -n 1 "${LOG[$1]}")"
}
# Bytes of one part of a member's data are turned over; the snapshots that it received are in its history too.
damage() {
  local part=$1 file
  pick
  began "damage in the $part of node $VICTIM"
  signal_member KILL "$VICTIM"
  wait_gone "$VICTIM" 5 || fail "member $VICTIM cannot be killed"
  cp -a "${DATA[$VICTIM]}/$part" "$WORK/sound"
  while read -r file; do
    perl -e 'open(my $file, "+<", $ARGV[0]) or die "$!"; my $byte;
      for (my $at = 512; $at < -s $file; $at += 1024) { sysseek($file, $at, 0); sysread($file, $byte, 1); sysseek($file, $at, 0); syswrite($file, ~$byte) }' "$file"
  done < <(find "${DATA[$VICTIM]}/$part" -name db)
  refused "$VICTIM" 'keep the data directory, remove this member from the cluster and add a new one under a new id'
  rm -rf "${DATA[$VICTIM]:?}/$part"
  cp -a "$WORK/sound" "${DATA[$VICTIM]}/$part"
  rm -rf "${WORK:?}/sound"
  sync -f "${DATA[$VICTIM]}"
  bring_back "$VICTIM"
}
damage_log() { damage log; }
damage_history() { damage history; }

# A member comes back with an empty directory under its old number: the others refuse it, and it is never ready.
wipe() {
  local id members=() identity
  pick
  began "node $VICTIM wiped"
  signal_member KILL "$VICTIM"
  wait_gone "$VICTIM" 5 || fail "member $VICTIM cannot be killed"
  mkdir "$WORK/aside"
  cp -a "${DATA[$VICTIM]}/." "$WORK/aside"
  find "${DATA[$VICTIM]}" -mindepth 1 -delete
  identity=$(tr -d '\n' <"$WORK/aside/identity.json")
  for id in "${IDS[@]}"; do members+=(--member "$id=${API[$id]#http://}/$(host_of "$id"):$((PORT + 20 + id))"); done
  "$NODE_PROGRAM" init --data-dir "${DATA[$VICTIM]}" --id "$VICTIM" --cluster-id "$(field cluster "$identity")" "${members[@]}" \
    --admin-key-hash "$(field admin_key_hash "$identity")" >>"${LOG[$VICTIM]}" 2>&1 || fail "init of member $VICTIM: $(tail -n 1 "${LOG[$VICTIM]}")"
  bring_back "$VICTIM"
  last
  if http_get "${API[$VICTIM]}" /readyz >/dev/null; then broken "member $VICTIM was wiped and counts under its old number"; fi
  grep -q "remove member $VICTIM and add it under a new one" < <(tail -n 200 "${LOG[$VICTIM]}") || broken "wiped member $VICTIM does not say what to do: $(tail -n 1 "${LOG[$VICTIM]}")"
  signal_member KILL "$VICTIM" || true
  wait_gone "$VICTIM" 5 || fail "member $VICTIM cannot be killed"
  find "${DATA[$VICTIM]}" -mindepth 1 -delete
  cp -a "$WORK/aside/." "${DATA[$VICTIM]}"
  rm -rf "${WORK:?}/aside"
  sync -f "${DATA[$VICTIM]}"
  bring_back "$VICTIM"
}
