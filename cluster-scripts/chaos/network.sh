# A network namespace for each member, and what goes wrong between them. Read by chaos.sh.
# shellcheck shell=bash

# Where the proxy of each member listens that delays what it sends to its peers.
PROXY_PORT=7990

# All members are on one bridge with this script and its load.
make_networks() {
  # These networks are this script's alone, so its load needs no TLS to reach the members in theirs.
  export ETEBAR_NETWORK=member- ETEBAR_API_PLAINTEXT=true
  local id
  mount -t tmpfs tmpfs /run
  ip link set lo up
  ip link add bridge0 type bridge
  ip addr add 10.77.0.254/24 dev bridge0
  ip link set bridge0 up
  for ((id = 1; id <= NODES; id++)); do
    ip netns add "member-$id"
    ip link add "link$id" type veth peer name eth0 netns "member-$id"
    ip link set "link$id" master bridge0 up
    ip -n "member-$id" addr add "10.77.0.$id/24" dev eth0
    ip -n "member-$id" link set eth0 up
    ip -n "member-$id" link set lo up
    nft_in "$id" 'table inet chaos { chain in { type filter hook input priority 0; }; chain out { type filter hook output priority 0; }; }'
  done
}

# Every connection of a member to its peers goes through a proxy, which passes all at once until it is told a delay.
make_proxies() {
  local id
  for ((id = 1; id <= NODES; id++)); do
    printf '0 0\n' >"$WORK/delay-$id"
    nft_in "$id" "table ip delay { chain out { type nat hook output priority -100; ip daddr $peers tcp dport $((PORT + 21))-$((PORT + 29)) meta mark != 77 redirect to :$PROXY_PORT; }; }"
    ip netns exec "member-$id" "$PROXY_PROGRAM" "$PROXY_PORT" "$WORK/delay-$id" 2>>"$WORK/proxies" &
    PROXIES+=($!)
  done
}

# nft_in MEMBER RULES: in the member's own network. Clients, at .254, are never cut off by these: members from each other are.
nft_in() { ip netns exec "member-$1" nft "$2"; }
peers='10.77.0.1-10.77.0.9'
heal() { nft_in "$1" 'flush table inet chaos'; }
cut_in() { nft_in "$1" "add rule inet chaos in iif != lo ip saddr $peers drop"; }
cut_out() { nft_in "$1" "add rule inet chaos out oif != lo ip daddr $peers drop"; }
cut_off() { pick; began "node $VICTIM cut off"; cut_in "$VICTIM"; cut_out "$VICTIM"; last; heal "$VICTIM"; }
# Of three the third still hears both; of five the victim is left with one, and neither of them has a majority.
cut_most() {
  local id friend
  pick
  friend=$((VICTIM % NODES + 1))
  began "node $VICTIM cut off from all but node $friend"
  for id in "${IDS[@]}"; do
    ((id == VICTIM || id == friend)) && continue
    nft_in "$VICTIM" "add rule inet chaos in ip saddr 10.77.0.$id drop"
    nft_in "$VICTIM" "add rule inet chaos out ip daddr 10.77.0.$id drop"
  done
  last
  heal "$VICTIM"
}
deafen() { pick; began "node $VICTIM deaf"; cut_in "$VICTIM"; last; heal "$VICTIM"; }
mute() { pick; began "node $VICTIM mute"; cut_out "$VICTIM"; last; heal "$VICTIM"; }
flap() {
  local i
  pick
  began "node $VICTIM flapping"
  for i in {1..8}; do
    cut_in "$VICTIM"
    cut_out "$VICTIM"
    draw 4
    sleep "0.$((1 + DRAWN))"
    heal "$VICTIM"
    draw 4
    sleep "0.$((1 + DRAWN))"
  done
}
lose() {
  pick
  began "node $VICTIM loses 20 %"
  nft_in "$VICTIM" "add rule inet chaos in iif != lo ip saddr $peers numgen random mod 100 < 20 drop"
  nft_in "$VICTIM" "add rule inet chaos out oif != lo ip daddr $peers numgen random mod 100 < 20 drop"
  last
  heal "$VICTIM"
}
delay() {
  local least
  pick
  draw 60
  least=$((5 + DRAWN))
  began "node $VICTIM sends $least to $((3 * least)) ms late"
  printf '%s %s\n' "$least" "$((3 * least))" >"$WORK/delay-$VICTIM"
  last
  printf '0 0\n' >"$WORK/delay-$VICTIM"
}
