import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULT_KINDS, episodes, type Episode } from './plan.ts'

const first = (seed: number, count: number): readonly Episode[] =>
  [...Array(count).keys()].reduce(({ plan, all }) => ({ plan, all: [...all, plan.next().value] }), {
    plan: episodes(seed),
    all: [] as Episode[],
  }).all

test('equal seeds, equal plans; another seed, another plan', () => {
  assert.deepEqual(first(7, 60), first(7, 60))
  assert.notDeepEqual(first(7, 60), first(8, 60))
})

test('a round holds every kind once, and stays within the minute that npm test has for it', () => {
  for (let seed = 1; seed <= 200; seed++) {
    let kinds: string[] = []
    let faultMs = 0
    for (const episode of episodes(seed)) {
      kinds = [...kinds, ...episode.faults.map(({ kind }) => kind)]
      faultMs += Math.max(...episode.faults.map(({ startMs, durationMs }) => startMs + durationMs))
      if (kinds.length >= FAULT_KINDS.length) break
    }
    assert.deepEqual(kinds.toSorted(), [...FAULT_KINDS].toSorted())
    assert.ok(faultMs < 35_000, `seed ${seed}: ${faultMs} ms`)
  }
})

test('a member is replaced only while nothing takes another one away', () => {
  for (let seed = 1; seed <= 200; seed++)
    for (const { faults } of first(seed, 20)) {
      if (!faults.some(({ kind }) => kind === 'replace')) continue
      const others = faults.map(({ kind }) => kind).filter((kind) => kind !== 'replace')
      for (const other of others) assert.match(other, /^(slow-link|slow-disk|clock-jump|clock-drift|corrupt-link)$/)
    }
})

test('faults of an episode overlap and are in the order of their starts', () => {
  for (const { faults } of first(3, 200)) {
    const [a, b] = faults
    assert.ok(a !== undefined)
    if (b === undefined) continue
    assert.ok(a.startMs <= b.startMs && b.startMs < a.startMs + a.durationMs)
  }
})
