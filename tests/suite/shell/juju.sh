#!/bin/sh
# Stands in for every hook command; $JUJU is a directory with what Juju knows. Each call is one
# line in $JUJU/calls.
set -eu
tool=$(basename "$0")
echo "$tool $*" >>"$JUJU/calls"
if [ -e "$JUJU/garbage/$tool" ]; then cat "$JUJU/garbage/$tool"; exit 0; fi
if [ -e "$JUJU/failing/$tool" ]; then cat "$JUJU/failing/$tool" >&2; exit 1; fi

relation= label= app= key= uri= target=
for word in "$@"; do
  case $key in
    -r) relation=$word; key=; continue ;;
    --label) label=$word; key=; continue ;;
    --file|--owner|--description|--revision|--log-level) key=; continue ;;
  esac
  case $word in
    -r|--label|--file|--owner|--description|--revision|--log-level) key=$word ;;
    --app) app=yes ;;
    secret:*) uri=$word ;;
    -*) ;;
    *) target=$word ;;
  esac
done
bag() { printf %s "$JUJU/relations/$relation/$(printf %s "$1" | tr / _)"; }
json() { # a directory of files as an object of strings
  printf '{'
  comma=
  for file in "$1"/*; do
    [ -e "$file" ] || continue
    printf '%s"%s":"%s"' "$comma" "$(basename "$file")" "$(awk '{ printf "%s%s", end, $0; end = "\\n" }' "$file")"
    comma=,
  done
  printf '}\n'
}
say() { if [ -e "$1" ]; then cat "$1"; else printf '%s\n' "$2"; fi; }

case $tool in
  is-leader) say "$JUJU/leader" false ;;
  config-get) say "$JUJU/config" '{}' ;;
  relation-ids) say "$JUJU/ids/$target" '[]' ;;
  relation-list)
    [ -d "$JUJU/relations/$relation" ] || { echo "ERROR invalid value \"$relation\" for option -r: relation not found" >&2; exit 2; }
    if [ -n "$app" ]; then cat "$JUJU/relations/$relation/application"; else say "$JUJU/relations/$relation/units" '[]'; fi ;;
  relation-get)
    [ -d "$JUJU/relations/$relation" ] || { echo "ERROR invalid value \"$relation\" for option -r: relation not found" >&2; exit 2; }
    say "$(bag "$target").json" '{}' ;;
  relation-set) printf '%s%s ' "$relation" "${app:+ app}" >>"$JUJU/written"; cat >>"$JUJU/written"; echo >>"$JUJU/written" ;;
  secret-add)
    mkdir -p "$JUJU/secrets/$label"
    for word in "$@"; do
      case $word in
        *'#file='*)
          file=${word#*#file=}
          stat -c %a "$file" "$(dirname "$file")" >>"$JUJU/modes"
          cp "$file" "$JUJU/secrets/$label/${word%%#*}" ;;
      esac
    done
    echo "secret:d2c7user00000000000g" ;;
  secret-get)
    if [ -n "$uri" ]; then
      [ -e "$JUJU/shared/${uri#secret:}" ] || { echo 'ERROR permission denied' >&2; exit 1; }
      cat "$JUJU/shared/${uri#secret:}"
    else
      [ -d "$JUJU/secrets/$label" ] || { echo "ERROR consumer label \"$label\" not found" >&2; exit 1; }
      json "$JUJU/secrets/$label"
    fi ;;
  secret-info-get)
    [ -d "$JUJU/secrets/$label" ] || { echo "ERROR secret \"$label\" not found" >&2; exit 1; }
    echo '{"d2c7user00000000000g":{"revision":1,"owner":"application"}}' ;;
  network-get) say "$JUJU/network" '{"bind-addresses":[{"addresses":[{"value":"127.0.0.1"}]}],"ingress-addresses":["127.0.0.1"]}' ;;
  opened-ports) say "$JUJU/ports" '[]' ;;
  open-port) printf '["%s"]\n' "$target" >"$JUJU/ports" ;;
  resource-get)
    for file in "$RESOURCES/$target"/*; do
      [ -e "$file" ] || { echo "ERROR could not download resource: HTTP request failed: Get https://x: resource \"$target\" not found" >&2; exit 1; }
      printf %s "$file"
    done ;;
  status-get) say "$JUJU/status" '{"status":"unknown","message":"","status-data":{}}' ;;
  status-set) printf '{"status":"%s","message":"%s","status-data":{}}\n' "$2" "$3" >"$JUJU/status" ;;
  action-get) say "$JUJU/parameters" '{}' ;;
  action-set|action-fail) printf '%s\n' "$tool $*" >>"$JUJU/answers" ;;
esac
