/** Lease, Lock and Election. */
import { keepAlive, withRoundedTtl } from '../leases.ts'
import {
  CAMPAIGN,
  DELETE_RANGE,
  LEADER,
  LEASE_GRANT,
  LEASE_LEASES,
  LEASE_REVOKE,
  LEASE_TIME_TO_LIVE,
  LOCK,
  PROCLAIM,
  RANGE,
  RESIGN,
  UNLOCK,
} from '../methods.ts'
import type { Tree } from '../tree.ts'
import type { Twin } from '../twin.ts'
import { WatchPair } from '../watch-pair.ts'
import { b, EVERYTHING, put, type Case } from './case.ts'

const isThere = (answer: Tree): Tree =>
  typeof answer === 'object' && 'ID' in answer ? { ...answer, ID: answer['ID'] !== '0n' } : answer

async function grant(twin: Twin, ID: bigint, TTL = 1000n): Promise<void> {
  await twin.call(LEASE_GRANT, { ID, TTL })
}

async function timeToLive(twin: Twin, ID: bigint): Promise<void> {
  for (const keys of [false, true]) await twin.call(LEASE_TIME_TO_LIVE, { ID, keys }, { relax: withRoundedTtl })
}

export const LEASE_CASES: readonly Case[] = [
  {
    name: 'lease: IDs and TTLs that can be asked for',
    run: async (twin) => {
      for (const TTL of [-1n, 0n, 1n, 2n, 9_000_000_000n, 9_000_000_001n, 9223372036854775807n])
        await grant(twin, 10n + (TTL & 7n), TTL)
      await grant(twin, -5n)
      await grant(twin, 9223372036854775807n)
      await twin.call(LEASE_GRANT, { TTL: 100n }, { relax: isThere })
      await grant(twin, 3n)
      await grant(twin, 3n, 9_000_000_001n)
      for (const ID of [0n, 3n, -5n, 99n]) await timeToLive(twin, ID)
    },
  },
  {
    name: 'lease: keys move between leases',
    run: async (twin) => {
      for (const ID of [1n, 2n]) await grant(twin, ID)
      await put(twin, 'a', '', 1n)
      await put(twin, 'b', '', 1n)
      await put(twin, 'c', '', 2n)
      await put(twin, 'b', '', 2n)
      await put(twin, 'a')
      for (const ID of [1n, 2n]) await timeToLive(twin, ID)
      await twin.call(DELETE_RANGE, { key: b('c') })
      await put(twin, 'z', '', 2n)
      await put(twin, 'm', '', 2n)
      await timeToLive(twin, 2n)
      for (const ID of [2n, 2n, 1n, 0n]) await twin.call(LEASE_REVOKE, { ID })
      await twin.call(RANGE, EVERYTHING)
      await twin.call(LEASE_LEASES)
    },
  },
  {
    name: 'lease: keys-only answers know no leases',
    run: async (twin) => {
      await grant(twin, 1n)
      await put(twin, 'a', 'x', 1n)
      for (const sortTarget of [0, 4] as const) await twin.call(RANGE, { ...EVERYTHING, keysOnly: true, sortTarget })
      await twin.call(LEASE_REVOKE, { ID: 1n })
    },
  },
  {
    name: 'lease: keeping alive',
    run: async (twin) => {
      await grant(twin, 1n)
      for (const ID of [1n, 0n, 99n]) await keepAlive(twin, ID)
      await twin.call(LEASE_REVOKE, { ID: 1n })
      await keepAlive(twin, 1n)
    },
  },
  {
    name: 'lease: a lease that ends takes its keys with it',
    run: async (twin) => {
      await grant(twin, 1n, 1n)
      await put(twin, 'a', '', 1n)
      const last = await put(twin, 'b', '', 1n)
      const watch = new WatchPair(twin, 'expiry')
      await watch.create({ key: b('a'), rangeEnd: b('z'), startRevision: last, prevKv: true })
      await watch.drain(last + 1n)
      watch.close()
      await twin.call(RANGE, EVERYTHING)
      await timeToLive(twin, 1n)
    },
  },
]

export const LOCK_CASES: readonly Case[] = [
  {
    name: 'lock: locked, unlocked, and refused',
    run: async (twin) => {
      await grant(twin, 0x1fn)
      await twin.call(LOCK, { name: b('l'), lease: 0x1fn })
      await twin.call(LOCK, { name: b('l'), lease: 0x1fn })
      await twin.call(RANGE, EVERYTHING)
      await twin.call(UNLOCK, { key: b('l/1f') })
      await twin.call(UNLOCK, { key: b('l/1f') })
      await twin.call(UNLOCK, {})
      await twin.call(LOCK, { name: b('l'), lease: 99n })
      await twin.call(RANGE, EVERYTHING)
      await twin.call(LEASE_REVOKE, { ID: 0x1fn })
    },
  },
  {
    name: 'election: from the campaign to the resignation',
    run: async (twin) => {
      await grant(twin, 0x2fn)
      await twin.call(LEADER, { name: b('e') })
      const won = await twin.call(CAMPAIGN, { name: b('e'), lease: 0x2fn, value: b('first') })
      const leader = won?.leader
      await twin.call(CAMPAIGN, { name: b('e'), lease: 0x2fn, value: b('second') })
      await twin.call(LEADER, { name: b('e') })
      if (leader !== undefined) {
        await twin.call(PROCLAIM, { leader, value: b('third') })
        await twin.call(RANGE, EVERYTHING)
        await twin.call(PROCLAIM, { leader: { ...leader, rev: 1n }, value: b('late') })
        await twin.call(RESIGN, { leader })
        await twin.call(RESIGN, { leader })
        await twin.call(PROCLAIM, { leader, value: b('later') })
      }
      await twin.call(PROCLAIM, {})
      await twin.call(RESIGN, {})
      await twin.call(LEADER, {})
      await twin.call(CAMPAIGN, { name: b('e'), lease: 99n })
      await twin.call(LEASE_REVOKE, { ID: 0x2fn })
    },
  },
]
