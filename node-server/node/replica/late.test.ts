import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberId, NOBODY } from '../../../lib/ids.ts'
import { whyLate } from './late.ts'

const [A, B, C] = [MemberId(1n), MemberId(2n), MemberId(3n)]
const ELECTION_MS = 1000

interface Case {
  readonly says: string
  readonly leader: MemberId
  readonly electedMs?: number
  /** Since when the connections to the others stand. */
  readonly b?: number
  readonly c?: number
}

/** The write began at 10,000 ms; this member is A. */
const CASES: readonly Case[] = [
  { says: 'leader-failed', leader: B, electedMs: 11_999, b: 0 },
  { says: 'timeout', leader: B, electedMs: 12_000, b: 0 },
  { says: 'timeout', leader: B, electedMs: 10_000, b: 0 },
  { says: 'timeout', leader: B, b: 9999 },
  { says: 'connection-lost', leader: B, b: 10_000, c: 0 },
  { says: 'connection-lost', leader: B, c: 0 },
  { says: 'timeout', leader: A, c: 0 },
  { says: 'connection-lost', leader: A },
  { says: 'connection-lost', leader: A, b: 10_001, c: 16_000 },
  { says: 'timeout', leader: NOBODY },
]

test('a write that got no result in time is told what etcd would tell', () => {
  for (const { says, leader, electedMs = 0, b, c } of CASES) {
    const connectedSinceMs = (id: MemberId): number | undefined => (id === B ? b : c)
    const links = { self: A, leader, voters: [A, B, C], connectedSinceMs }
    assert.equal(whyLate(10_000, electedMs, ELECTION_MS, links), says, JSON.stringify({ electedMs, b, c }))
  }
})
