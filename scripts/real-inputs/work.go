// Parses, folds and sorts under runtime/pprof, with labels: work CPU.pb.gz HEAP.pb.gz
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"sort"
	"strings"
	"sync"
)

type Parser struct {
	text string
	at   int
}

func (p *Parser) next() byte {
	if p.at >= len(p.text) {
		return 0
	}
	p.at++
	return p.text[p.at-1]
}

func parse(text string) int {
	p := &Parser{text: text}
	commas := 0
	for c := p.next(); c != 0; c = p.next() {
		if c == ',' {
			commas++
		}
	}
	return commas
}

func fold[T int | float64](list []T) T {
	var sum T
	for i := 0; i < 50; i++ {
		for _, v := range list {
			sum += v * T(i)
		}
	}
	return sum
}

func main() {
	cpu, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	pprof.StartCPUProfile(cpu)
	text := strings.Repeat("a,b,c,", 500000)
	list := make([]int, 300000)
	var group sync.WaitGroup
	for worker := 0; worker < 2; worker++ {
		group.Add(1)
		go pprof.Do(context.Background(), pprof.Labels("worker", fmt.Sprint(worker)), func(context.Context) {
			defer group.Done()
			for i := 0; i < 100; i++ {
				parse(text)
				fold(list)
				sort.Ints(append([]int{}, list...))
			}
		})
	}
	group.Wait()
	pprof.StopCPUProfile()
	heap, err := os.Create(os.Args[2])
	if err != nil {
		panic(err)
	}
	pprof.Lookup("heap").WriteTo(heap, 0)
}
