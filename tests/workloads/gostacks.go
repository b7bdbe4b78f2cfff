// SPDX-License-Identifier: Apache-2.0

// gostacks.go - Go stacks of known shape: gostacks MODE SECONDS.
//
// All modes end in spin(), a leaf that calls nothing, under a chain of functions that is in this source. None of them is
// inlined, so the chain is the one that a stack has to show, frame by frame.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
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
func bottom(end time.Time) {
	for time.Now().Before(end) {
		sink += spin(200000)
	}
}

// Recursion through a closure: two frames a level.
//
//go:noinline
func descend(depth int, end time.Time) {
	if depth == 0 {
		bottom(end)
		return
	}
	next := func() { descend(depth-1, end) }
	call(next)
	sink++
}

//go:noinline
func call(function func()) {
	function()
	sink++
}

//go:noinline
func recurse(end time.Time) {
	descend(40, end)
	sink++
}

// Goroutines on threads of their own.
//
//go:noinline
func worker(end time.Time, done *sync.WaitGroup) {
	bottom(end)
	done.Done()
}

//go:noinline
func threads(end time.Time) {
	var done sync.WaitGroup
	for i := 0; i < 3; i++ {
		done.Add(1)
		go worker(end, &done)
	}
	done.Wait()
}

//go:noinline
func serve(requests, answers chan uint64, quit chan bool) {
	for {
		select {
		case request := <-requests:
			answers <- request + spin(20000)
		case <-quit:
			return
		}
	}
}

//go:noinline
func channels(end time.Time) {
	requests, answers, quit := make(chan uint64), make(chan uint64), make(chan bool)
	go serve(requests, answers, quit)
	for time.Now().Before(end) {
		requests <- sink
		sink += <-answers
	}
	close(quit)
}

// Work in a deferred function while a panic unwinds, and after it was recovered from.
//
//go:noinline
func recoverer() {
	sink += spin(100000)
	if recover() == nil {
		panic("nothing to recover from")
	}
	sink += spin(100000)
}

//go:noinline
func panicker() {
	defer recoverer()
	panic("on purpose")
}

var nothing *struct {
	pad   [64]byte
	value uint64
}

//go:noinline
func faulter() {
	defer recoverer()
	sink += nothing.value
}

//go:noinline
func panics(end time.Time) {
	for time.Now().Before(end) {
		panicker()
	}
}

//go:noinline
func faults(end time.Time) {
	for time.Now().Before(end) {
		faulter()
	}
}

// Stacks that grow: most of the time goes into copying them.
//
//go:noinline
func grow(depth int) uint64 {
	var room [512]uint64
	if depth == 0 {
		return spin(100)
	}
	room[depth%512] = grow(depth - 1)
	return room[depth%512] + room[0]
}

//go:noinline
func grower(done chan bool) {
	sink += grow(200)
	done <- true
}

//go:noinline
func growth(end time.Time) {
	done := make(chan bool)
	for time.Now().Before(end) {
		go grower(done)
		<-done
	}
}

type node struct {
	left, right *node
	payload     [6]uint64
}

//go:noinline
func build(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: build(depth - 1), right: build(depth - 1)}
}

//go:noinline
func garbage(end time.Time) {
	kept := build(16)
	for time.Now().Before(end) {
		kept.left = build(12)
	}
	runtime.KeepAlive(kept)
}

//go:noinline
func askTime(end time.Time) {
	for {
		for i := 0; i < 1000; i++ {
			sink += uint64(time.Now().Nanosecond())
		}
		if time.Now().After(end) {
			return
		}
	}
}

// A loop that calls nothing is preempted by a signal, and other signals come as well.
//
//go:noinline
func preempted(end time.Time) {
	runtime.GOMAXPROCS(1)
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			sink++
		}
	}()
	go func() {
		for {
			syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
			time.Sleep(100 * time.Microsecond)
		}
	}()
	for time.Now().Before(end) {
		sink += spin(20000000)
	}
}

//go:noinline
func writeAway(file *os.File, buffer []byte, end time.Time) {
	for time.Now().Before(end) {
		file.Write(buffer)
	}
}

//go:noinline
func writes(end time.Time) {
	file, _ := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	writeAway(file, make([]byte, 64), end)
}

func main() {
	modes := map[string]func(time.Time){"recurse": recurse, "threads": threads, "channels": channels,
		"panics": panics, "faults": faults, "growth": growth, "garbage": garbage, "askTime": askTime,
		"preempted": preempted, "writes": writes}
	if len(os.Args) < 3 || modes[os.Args[1]] == nil {
		fmt.Println("usage: gostacks MODE SECONDS")
		os.Exit(2)
	}
	seconds, _ := strconv.ParseFloat(os.Args[2], 64)
	fmt.Println("ready")
	modes[os.Args[1]](time.Now().Add(time.Duration(seconds * float64(time.Second))))
}
