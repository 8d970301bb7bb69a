import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../../lib/clock.ts'
import { WATCH } from '../../limits.ts'
import { RequestTurns } from './request-turns.ts'

/** Time that passes only as the test says, in rounds that it begins. */
class Rounds implements Clock {
  nowMs = 0
  #soon: (() => void)[] = []

  monotonicMs(): number {
    return this.nowMs
  }

  wallMs(): number {
    return this.nowMs
  }

  setTimer(): never {
    throw new Error('turns are no time of their own')
  }

  soon(fire: () => void): void {
    this.#soon.push(fire)
  }

  async next(): Promise<void> {
    const soon = this.#soon
    this.#soon = []
    for (const fire of soon) fire()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const REQUESTS = 10
/** Of one request, so that a round takes two. */
const REQUEST_MS = WATCH.requestsMs / 2

test('what all streams together are given in a round is bounded, and each has its round', async () => {
  const clock = new Rounds()
  const turns = new RequestTurns(clock)
  const taken: string[] = []
  const stream = async (name: string): Promise<void> => {
    const self = {}
    for (let i = 0; i < REQUESTS; i++) {
      if (!turns.isOf(self)) await turns.round(self)
      taken.push(name)
      clock.nowMs += REQUEST_MS
    }
  }
  void Promise.all(['a', 'b', 'c'].map(stream))
  const rounds: string[] = []
  while (taken.length > 0) {
    rounds.push(taken.splice(0).join(''))
    await clock.next()
  }
  assert.deepEqual(rounds.slice(0, 7), ['aa', 'aa', 'bb', 'cc', 'aa', 'bb', 'cc'])
  assert.equal(rounds.length, (3 * REQUESTS) / 2)
})

test('a stream that comes while others wait has its round after theirs', async () => {
  const clock = new Rounds()
  const turns = new RequestTurns(clock)
  const [first, second, late] = [{}, {}, {}]
  assert.equal(turns.isOf(first), true)
  clock.nowMs += WATCH.requestsMs
  assert.equal(turns.isOf(second), false)
  const rounds = [turns.round(second), turns.round(first)]
  await clock.next()
  await rounds[0]
  assert.deepEqual([turns.isOf(second), turns.isOf(late)], [true, false])
  await clock.next()
  await rounds[1]
  assert.deepEqual([turns.isOf(first), turns.isOf(late)], [true, true])
})
