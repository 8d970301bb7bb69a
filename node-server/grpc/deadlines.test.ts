import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadlines, type Expiring } from './deadlines.ts'

class Call implements Expiring {
  deadlineMs: number
  nextExpiring: Expiring | undefined
  previousExpiring: Expiring | undefined
  readonly #log: number[]
  readonly #name: number

  constructor(deadlineMs: number, log: number[]) {
    this.deadlineMs = deadlineMs
    this.#name = deadlineMs
    this.#log = log
  }

  onDeadline(): void {
    this.#log.push(this.#name)
  }
}

test('calls end at their deadline, whatever the order in which they came', () => {
  let nowMs = 1000
  const deadlines = new Deadlines(() => nowMs)
  const log: number[] = []
  const due = [1500, 1030, 1031, 90_000, 1030.5]
  for (const atMs of due) deadlines.add(new Call(atMs, log))
  const until = (ms: number): number[] => {
    nowMs = ms
    deadlines.turn()
    return log.splice(0)
  }
  assert.deepEqual(until(1029), [])
  assert.deepEqual(new Set(until(1030.7)), new Set([1030, 1030.5]))
  assert.deepEqual(until(1045), [1031])
  assert.deepEqual(until(60_000), [1500], 'the wheel has turned several times')
  assert.deepEqual(until(89_999), [])
  assert.deepEqual(until(90_020), [90_000])
})

test('a call that has ended is not told', () => {
  let nowMs = 0
  const deadlines = new Deadlines(() => nowMs)
  const log: number[] = []
  const calls = [100, 101, 102, 103].map((atMs) => new Call(atMs, log))
  for (const call of calls) deadlines.add(call)
  for (const call of [calls[1], calls[3], calls[0]]) if (call !== undefined) deadlines.remove(call)
  if (calls[1] !== undefined) deadlines.remove(calls[1])
  nowMs = 200
  deadlines.turn()
  assert.deepEqual(log, [102])
})

test('one that ends another at its deadline ends it once', () => {
  let nowMs = 0
  const deadlines = new Deadlines(() => nowMs)
  const log: number[] = []
  const [first, second] = [new Call(50, log), new Call(50, log)]
  first.onDeadline = () => deadlines.remove(second)
  second.onDeadline = () => deadlines.remove(first)
  deadlines.add(first)
  deadlines.add(second)
  nowMs = 100
  deadlines.turn()
  assert.deepEqual([first.deadlineMs, second.deadlineMs], [0, 0])
})
