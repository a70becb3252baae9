.PHONY: demo test test-fast bench-apply bench-daemon bench-fio package install

demo:         ; @bootstrap/demo.sh --once
test:         ; @bootstrap/test.sh
test-fast:    ; @bootstrap/test.sh --fast
bench-apply:  ; @bootstrap/bench-apply.sh
bench-daemon: ; @bootstrap/bench-daemon.sh
bench-fio:    ; @bootstrap/bench-fio.sh
package:      ; @bootstrap/package.sh
install:      ; @cargo build --release --package instore && bootstrap/install.sh
