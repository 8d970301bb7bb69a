import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../../lib/clock.ts'
import { MemberId, NOBODY } from '../../../lib/ids.ts'
import { LeaderMonitor } from './leader-monitor.ts'
import { MemoryMember } from './testing/memory-member.ts'

/** One timer at a time, fired by hand. */
class OneTimer implements Clock {
  #due: (() => void) | undefined
  delayMs = 0
  monotonicMs = (): number => 0
  wallMs = (): number => 0

  get isRunning(): boolean {
    return this.#due !== undefined
  }

  setTimer(delayMs: number, fire: () => void): { cancel(): void } {
    assert.equal(this.isRunning, false)
    this.delayMs = delayMs
    this.#due = fire
    return { cancel: () => (this.#due = undefined) }
  }

  soon(): void {
    assert.fail('nothing here is put off')
  }

  fire(): void {
    const due = this.#due
    assert.ok(due !== undefined, 'a timer runs')
    this.#due = undefined
    due()
  }
}

test('streams end after three election timeouts in a row without a leader, each once', () => {
  const member = new MemoryMember()
  const clock = new OneTimer()
  const monitor = new LeaderMonitor(member, clock, 1000)
  const lost: string[] = []
  const endFirst = monitor.onLost(() => void lost.push('first'))
  monitor.onLost(() => void lost.push('second'))
  member.leader = NOBODY
  clock.fire()
  clock.fire()
  member.leader = MemberId(1n)
  clock.fire() // counted again from here
  member.leader = NOBODY
  clock.fire()
  endFirst()
  clock.fire()
  assert.deepEqual([lost, clock.delayMs], [[], 1000])
  clock.fire()
  assert.deepEqual([lost, clock.isRunning], [['second'], false])
})

test('without streams no timer runs, and the first one after that has its full time', () => {
  const member = new MemoryMember()
  const clock = new OneTimer()
  const monitor = new LeaderMonitor(member, clock, 1000)
  assert.equal(clock.isRunning, false)
  const end = monitor.onLost(() => assert.fail('it has ended'))
  member.leader = NOBODY
  clock.fire()
  clock.fire()
  end()
  end()
  assert.equal(clock.isRunning, false)
  let isLost = false
  monitor.onLost(() => (isLost = true))
  clock.fire()
  clock.fire()
  assert.equal(isLost, false)
  clock.fire()
  assert.equal(isLost, true)
})
