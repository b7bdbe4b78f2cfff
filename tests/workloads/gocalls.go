// SPDX-License-Identifier: Apache-2.0

// gocalls.go - Go that calls C that calls Go: gocalls MODE SECONDS.
//
// "in_c" works in C, "back" in Go that C has called, "nested" in C again below that, "foreign" in Go that a thread of C's
// own has called. The chains are those of this source.
package main

/*
#cgo CFLAGS: -O2 -g -fomit-frame-pointer
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <stdint.h>

extern void goBack(int depth, int64_t end);
extern void goForeign(int64_t end);

static volatile uint64_t c_sink;

__attribute__((noinline)) static void c_spin(int rounds)
{
	uint64_t value = rounds;

	for (int i = 0; i < rounds; i++)
		value = value * 6364136223846793005ull + 1442695040888963407ull;
	c_sink += value;
}

__attribute__((noinline)) static void c_outer(int rounds)
{
	c_spin(rounds);
	c_sink++;
}

// Uses rbp for itself: the frame pointer of the Go code that called has to be found in its frame.
__attribute__((noinline)) static void c_calls_go(int depth, int64_t end)
{
	uint64_t a = c_sink, b = c_sink, c = c_sink, d = c_sink, e = c_sink, f = c_sink;

	goBack(depth, end);
	c_sink += a * 3 + b * 5 + c * 7 + d * 11 + e * 13 + f * 17;
}

static void *c_thread(void *end)
{
	goForeign(*(int64_t *)end);
	c_sink++;
	return 0;
}

__attribute__((noinline)) static void c_start_thread(int64_t end)
{
	pthread_t thread;

	pthread_create(&thread, 0, c_thread, &end);
	pthread_join(thread, 0);
}
*/
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

var sink uint64

//go:noinline
func spin(rounds int) uint64 {
	value := uint64(rounds)
	for i := 0; i < rounds; i++ {
		value = value*6364136223846793005 + 1442695040888963407
	}
	return value
}

//go:noinline
func bottom(end int64) {
	for time.Now().UnixNano() < end {
		sink += spin(200000)
	}
}

//go:noinline
func inC(end int64) {
	for time.Now().UnixNano() < end {
		C.c_outer(200000)
	}
}

//export goBack
//go:noinline
func goBack(depth C.int, end C.int64_t) {
	if depth > 0 {
		between(int(depth)-1, int64(end))
	} else if depth == 0 {
		bottom(int64(end))
	} else {
		inC(int64(end))
	}
}

//go:noinline
func between(depth int, end int64) {
	C.c_calls_go(C.int(depth), C.int64_t(end))
	sink++
}

//export goForeign
//go:noinline
func goForeign(end C.int64_t) {
	bottom(int64(end))
}

//go:noinline
func back(end int64) {
	between(2, end)
	sink++
}

//go:noinline
func nested(end int64) {
	between(-1, end)
	sink++
}

//go:noinline
func foreign(end int64) {
	C.c_start_thread(C.int64_t(end))
	sink++
}

func main() {
	modes := map[string]func(int64){"in_c": inC, "back": back, "nested": nested, "foreign": foreign}
	if len(os.Args) < 3 || modes[os.Args[1]] == nil {
		fmt.Println("usage: gocalls MODE SECONDS")
		os.Exit(2)
	}
	seconds, _ := strconv.ParseFloat(os.Args[2], 64)
	fmt.Println("ready")
	modes[os.Args[1]](time.Now().UnixNano() + int64(seconds*1e9))
}
