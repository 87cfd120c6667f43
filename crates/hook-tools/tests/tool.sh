#!/bin/sh
# Stands in for any hook command: the links to this file run the script that lies beside them.
here=$(dirname "$0")
. "$here/script"
