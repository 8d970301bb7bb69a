import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../../lib/testing/manual-clock.ts'
import type { AutoCompaction } from '../options.ts'
import { runAutoCompaction } from './auto-compaction.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** A store that changes once a minute, and what is compacted of it: `minute → revision`. */
class Member {
  readonly clock = new ManualClock()
  readonly compactions: string[] = []
  revision = 1
  isLeader = true
  /** What {@link compactions} answer. */
  failure: string | undefined
  readonly #stopped = new AbortController()
  readonly ended: Promise<void>

  constructor(settings: AutoCompaction) {
    const parts = {
      clock: this.clock,
      log: quiet,
      revision: () => this.revision,
      isLeader: () => this.isLeader,
      compact: async (revision: number) => {
        this.compactions.push(`${this.clock.monotonicMs() / MINUTE_MS} → ${revision}`)
        return this.failure
      },
    }
    this.ended = runAutoCompaction(parts, settings, this.#stopped.signal)
  }

  async live(minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute++) {
      await this.clock.advance(MINUTE_MS)
      this.revision += 1
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.ended
  }
}

test('periodic, up to an hour: the first after one period, then one a period, of what was noted before it', async () => {
  const member = new Member({ mode: 'periodic', retentionMs: 10 * MINUTE_MS })
  await member.live(41)
  // Noted each minute, the first at minute 0 with revision 1.
  assert.deepEqual(member.compactions, ['10 → 1', '20 → 9', '30 → 19', '40 → 29'])
  await member.stop()
})

test('periodic, longer than an hour: the first after the whole period, then every hour', async () => {
  const member = new Member({ mode: 'periodic', retentionMs: 3 * HOUR_MS })
  await member.live(5 * 60 + 1)
  assert.deepEqual(member.compactions, ['180 → 1', '240 → 54', '300 → 114'])
  await member.stop()
})

test('periodic: a failure is tried again after a tenth of the interval', async () => {
  const member = new Member({ mode: 'periodic', retentionMs: 10 * MINUTE_MS })
  member.failure = 'no-leader'
  await member.live(12)
  member.failure = undefined
  await member.live(2)
  assert.deepEqual(member.compactions, ['10 → 1', '11 → 1', '12 → 1', '13 → 2'])
  await member.live(9)
  assert.deepEqual(member.compactions.slice(4), ['23 → 12'], 'a period after the one that worked')
  await member.stop()
})

test('periodic: nothing is compacted twice at one revision', async () => {
  const member = new Member({ mode: 'periodic', retentionMs: 10 * MINUTE_MS })
  for (let i = 0; i < 60; i++) await member.clock.advance(MINUTE_MS)
  assert.deepEqual(member.compactions, ['10 → 1'])
  await member.stop()
})

test('only the leader proposes; one that becomes leader knows what was before', async () => {
  const member = new Member({ mode: 'periodic', retentionMs: 10 * MINUTE_MS })
  member.isLeader = false
  await member.live(25)
  assert.deepEqual(member.compactions, [])
  member.isLeader = true
  await member.live(1)
  assert.deepEqual(member.compactions, ['26 → 15'])
  await member.stop()
})

test('by revision: every five minutes, all but the newest', async () => {
  const member = new Member({ mode: 'revision', retentionRevisions: 7 })
  await member.live(16)
  assert.deepEqual(member.compactions, ['10 → 3', '15 → 8'], 'at minute 5 there were not more than 7')
  await member.stop()
})

test('by revision: not on a follower, not twice at one revision, and a failure waits for the next interval', async () => {
  const member = new Member({ mode: 'revision', retentionRevisions: 1 })
  member.isLeader = false
  await member.live(6)
  member.isLeader = true
  member.failure = 'timeout'
  await member.live(4)
  member.failure = undefined
  await member.clock.advance(15 * MINUTE_MS)
  assert.deepEqual(member.compactions, ['10 → 9', '15 → 10'])
  await member.stop()
})
