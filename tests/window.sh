#!/usr/bin/env bash
# Opens the window as a person would, under a screen that nobody sees: the demo from the first screen to its
# patterns, a picture, the mask lab; a run from nothing that is paused, stepped, looked back at, saved and
# closed; the run opened again. Pictures of each are left in FOLDER.
#
#   tests/window.sh PROGRAM FOLDER
#
# Needs Xvfb, xdotool, ImageMagick and a Vulkan driver (lavapipe will do).
set -euo pipefail
program="$(realpath "$1")"
mkdir -p "$2"
folder="$(realpath "$2")"
work="$(mktemp -d)"
export DISPLAY=":${WINDOW_DISPLAY:-78}" PATCHLIGHT_CONFIG="$work/config" PATCHLIGHT_CACHE="$work/cache"
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$work}"

Xvfb "$DISPLAY" -screen 0 1280x800x24 >/dev/null 2>&1 &
screen=$!
trap 'kill $screen 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 60); do xdotool getdisplaygeometry >/dev/null 2>&1 && break; sleep 0.5; done
cd "$work"

fail() {
    echo "window: $*" >&2
    import -window root "$folder/failed.png" || true
    cat "$work/out" >&2
    exit 1
}
start() {
    "$program" "$@" >"$work/out" 2>&1 &
    running=$!
    for _ in $(seq 60); do xdotool search --name patchlight >/dev/null 2>&1 && break; sleep 0.5; done
    sleep 3
    # There is no window manager here to do it.
    xdotool search --name patchlight windowfocus || fail "there is no window"
}
alive() { kill -0 "$running" 2>/dev/null || fail "the program has ended while it should $1"; }
shot() { sleep "${2:-1}"; alive "show $1"; import -window root "$folder/$1.png"; }
click() { xdotool mousemove "$1" "$2" sleep 0.2 click 1 sleep 0.3; }
steps() { grep -c '"kind":"step"' "$work/runs/demo-001/metrics.jsonl" 2>/dev/null || true; }
# Two pictures of the same place must differ: something has happened.
differ() { [ "$(compare -metric AE "$folder/$1.png" "$folder/$2.png" null: 2>&1 | cut -d. -f1)" != 0 ] || fail "$1 and $2 are the same"; }
wait_for_steps() {
    for _ in $(seq 240); do
        [ "$(steps)" -ge "$1" ] 2>/dev/null && return
        alive train
        sleep 0.5
    done
    fail "there were only $(steps) steps of $1"
}

# The demo: first screen, patterns, picture, lab.
start
shot first
click 424 250
shot patterns 6
differ first patterns
xdotool key 2
click 300 400
xdotool mousemove 330 420
shot look 2
xdotool key 3
shot lab 3
xdotool key 4
shot views 3

# A run from nothing: it trains, pauses, makes one step, looks back.
xdotool key 1
click 400 22
wait_for_steps 24
shot training 2
xdotool key 5
shot curves 2
click 212 22
sleep 3
held="$(steps)"
sleep 3
[ "$(steps)" = "$held" ] || fail "the run went on while paused"
click 280 22
sleep 4
[ "$(steps)" = "$((held + 1))" ] || fail "a step was asked for: $held steps before, $(steps) after"
xdotool key 1
click 200 782
shot past 4

# Closing asks, saves, and the run can be opened again.
xdotool key ctrl+q
shot closing 2
click 516 434
for _ in $(seq 60); do kill -0 "$running" 2>/dev/null || break; sleep 0.5; done
kill -0 "$running" 2>/dev/null && fail "the window did not close"
wait "$running" || fail "the program ended with an error"
[ -n "$(ls "$work/runs/demo-001/checkpoints")" ] || fail "nothing was saved"
start open "$work/runs/demo-001"
shot again 6
differ first again
xdotool key ctrl+q
for _ in $(seq 60); do kill -0 "$running" 2>/dev/null || break; sleep 0.5; done
wait "$running" || fail "the program ended with an error"

# Pictures are described before a run.
start open parts
shot setup 6
differ first setup
xdotool key ctrl+q
for _ in $(seq 60); do kill -0 "$running" 2>/dev/null || break; sleep 0.5; done
wait "$running" || fail "the program ended with an error"
echo "window: $(steps) steps, pictures in $folder"
