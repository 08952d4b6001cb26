# Known bugs, each a patch, and a copy of the sources with one of them in it. Read by simulate.sh and plants.sh.
# shellcheck shell=bash

PATCHES=$ROOT/tests/simulation/plants

# The bugs' names, one a line: nothing has to be built to print or to check them.
plants() { (cd "$PATCHES" && printf '%s\n' *.patch | sed 's/\.patch$//'); }

# What a build of the simulation reads, relative to the root of the project that is given.
sources_of() {
  (cd "$1" && find Cargo.toml Cargo.lock rust-toolchain.toml client node tests \
    \( -name target -o -path tests/fuzz/found \) -prune -o -type f -print)
}

# apply_plant NAME FOLDER [--check]: applies its patch to the sources in this folder, or checks whether it applies.
apply_plant() {
  # Without the ceiling a copy inside of a repository would be treated as a folder of it, which the paths do not mean.
  (cd "$2" && GIT_CEILING_DIRECTORIES=$(dirname "$PWD") git apply "${@:3}" "$PATCHES/$1.patch")
}

# plant NAME FOLDER: makes FOLDER a copy of the sources with this bug in it. What is equal stays untouched, and what the last
# bug changed is written anew: so cargo builds again what differs from the last build, and nothing else.
plant() {
  local name=$1 copy=$2 file
  has_tool git || fail 'git is needed to plant a bug'
  mkdir -p "$copy"
  while IFS= read -r file; do
    cmp -s "$ROOT/$file" "$copy/$file" && continue
    mkdir -p "$(dirname "$copy/$file")"
    cp "$ROOT/$file" "$copy/$file"
  done < <(sources_of "$ROOT")
  if [[ -e $copy/Cargo.toml ]]; then
    while IFS= read -r file; do [[ -e $ROOT/$file ]] || rm "$copy/$file"; done < <(sources_of "$copy")
  fi
  apply_plant "$name" "$copy" || fail "the patch of $name does not apply"
}
