import { COMPACT, DELETE_RANGE, PUT, RANGE, RANGE_STREAM } from '../methods.ts'
import type { Twin } from '../twin.ts'
import { b, EVERYTHING, put, ZERO, type Case } from './case.ts'

/** Three keys with a history, values and versions that sort differently; the revision afterwards. */
async function fill(twin: Twin): Promise<bigint> {
  let revision = 0n
  for (const [key, value] of ['a=3', 'b=1', 'c=2', 'a=3', 'c=0', 'a=5', 'd=1'].map((text) => text.split('=')))
    revision = await put(twin, key ?? '', value)
  return revision
}

const NEW_STORE: readonly Case[] = [
  {
    name: 'kv: a new store',
    needsNewServers: true,
    run: async (twin) => {
      await twin.call(RANGE, EVERYTHING)
      for (const revision of [-2n, -1n, 0n, 1n, 2n]) {
        await twin.call(RANGE, { ...EVERYTHING, revision })
        await twin.collect(RANGE_STREAM, { ...EVERYTHING, revision })
      }
      await twin.call(DELETE_RANGE, EVERYTHING)
      await put(twin, 'a', '1')
    },
  },
]

const PUTS: readonly Case[] = [
  {
    name: 'kv: every option of a put',
    run: async (twin) => {
      for (const prevKv of [false, true])
        for (const ignoreValue of [false, true])
          for (const ignoreLease of [false, true])
            for (const value of ['', 'v'])
              for (const key of ['a', 'none', ''])
                await twin.call(PUT, { key: b(key), value: b(value), prevKv, ignoreValue, ignoreLease })
      await twin.call(PUT, { key: b('a'), lease: 77n, ignoreLease: true })
      await twin.call(PUT, { key: b('a'), lease: 77n })
      await twin.call(PUT, { key: b('none'), lease: 77n, ignoreValue: true })
      await twin.call(PUT, { key: b('none'), lease: -1n })
    },
  },
  {
    name: 'kv: long keys and large values',
    run: async (twin) => {
      for (const sizeBytes of [1968, 5000, 100_000, 1_000_000])
        for (const filler of ['k', '\0']) await twin.call(PUT, { key: Buffer.alloc(sizeBytes, filler), value: b('x') })
      await twin.call(RANGE, { key: b('k'), rangeEnd: b('l'), keysOnly: true, limit: 1n })
      await twin.call(PUT, { key: Buffer.alloc(100_000, 'k'), value: b('y'), prevKv: true })
      await twin.call(RANGE, { key: Buffer.alloc(4999, 'k'), rangeEnd: Buffer.alloc(100_001, 'k'), countOnly: true })
      await twin.call(DELETE_RANGE, {
        key: Buffer.alloc(5000, 'k'),
        rangeEnd: Buffer.alloc(100_000, 'k'),
        prevKv: true,
      })
      for (const sizeBytes of [1, 1024, 1024 * 1024, 1.5 * 1024 * 1024 - 512])
        await twin.call(PUT, { key: b('a'), value: Buffer.alloc(sizeBytes, 'v') })
      await twin.call(RANGE, { key: b('a') })
    },
  },
  {
    name: 'kv: requests that are too large',
    run: async (twin) => {
      for (const sizeBytes of [1.5 * 1024 * 1024, 1.9 * 1024 * 1024, 3 * 1024 * 1024])
        await twin.call(PUT, { key: b('a'), value: Buffer.alloc(sizeBytes, 'v') })
      await twin.call(RANGE, { key: Buffer.alloc(1.6 * 1024 * 1024, 'k') })
      await twin.call(RANGE, EVERYTHING)
    },
  },
]

const RANGES: readonly Case[] = [
  {
    name: 'kv: sort order, target and limit of a range',
    run: async (twin) => {
      await fill(twin)
      for (let sortOrder = -1; sortOrder <= 3; sortOrder++)
        for (let sortTarget = -1; sortTarget <= 5; sortTarget++)
          for (const limit of [-1n, 0n, 1n, 3n])
            for (const keysOnly of [false, true])
              await twin.call(RANGE, { ...EVERYTHING, sortOrder, sortTarget, limit, keysOnly } as never)
    },
  },
  {
    name: 'kv: filters of a range',
    run: async (twin) => {
      const last = await fill(twin)
      for (const name of ['minModRevision', 'maxModRevision', 'minCreateRevision', 'maxCreateRevision'])
        for (const revision of [-1n, 1n, last - 6n, last - 3n, last, last + 5n])
          for (const limit of [0n, 2n])
            for (const countOnly of [false, true])
              await twin.call(RANGE, { ...EVERYTHING, [name]: revision, limit, countOnly })
    },
  },
  {
    name: 'kv: ends of a range, at every revision',
    run: async (twin) => {
      const last = await fill(twin)
      const ends = ['', '\0', 'a', 'b', 'c\0', 'z', '\xff', '\0\0']
      for (const key of ['', '\0', 'a', 'b', 'zz'])
        for (const end of ends)
          for (const revision of [0n, last - 4n])
            await twin.call(RANGE, { key: b(key), rangeEnd: b(end), revision, limit: 2n })
      for (let revision = last - 9n; revision <= last + 1n; revision++)
        await twin.call(RANGE, { ...EVERYTHING, revision, serializable: true })
    },
  },
  {
    name: 'kv: errors of a range in their order',
    run: async (twin) => {
      const last = await fill(twin)
      await twin.call(RANGE, { sortOrder: 9 as never, revision: last + 9n })
      await twin.call(RANGE, { key: b('a'), sortTarget: 9 as never, revision: last + 9n })
      await twin.call(RANGE, { key: b('a'), countOnly: true, revision: last + 9n })
      await twin.call(RANGE, { key: b('a'), countOnly: true, revision: 1n })
      await twin.call(RANGE, { key: b('z'), rangeEnd: b('a'), revision: 1n })
      await twin.call(RANGE, { key: b('a'), revision: 9223372036854775807n })
      await twin.call(RANGE, { key: b('a'), revision: -9223372036854775808n })
      await twin.call(RANGE, { ...EVERYTHING, limit: 9223372036854775807n })
    },
  },
  {
    name: 'kv: ties among many keys',
    run: async (twin) => {
      for (let i = 0; i < 40; i++) await put(twin, `k${String(i).padStart(2, '0')}`, `${i % 3}`)
      for (const sortTarget of [1, 4] as const)
        for (const sortOrder of [1, 2] as const) await twin.call(RANGE, { ...EVERYTHING, sortTarget, sortOrder })
    },
  },
]

const STREAMS: readonly Case[] = [
  {
    name: 'kv: a range as a stream',
    run: async (twin) => {
      for (let i = 0; i < 75; i++) await put(twin, `k${String(i).padStart(2, '0')}`, `${i}`)
      const last = await put(twin, 'k05', 'newer')
      for (const limit of [-1n, 0n, 1n, 10n, 11n, 30n, 75n, 200n])
        for (const revision of [0n, last - 5n, last + 1n])
          for (const [countOnly, keysOnly] of [
            [false, false],
            [true, false],
            [false, true],
          ] as const)
            await twin.collect(RANGE_STREAM, { ...EVERYTHING, limit, revision, countOnly, keysOnly })
    },
  },
  {
    name: 'kv: chunks of a stream follow the size of what they hold',
    run: async (twin) => {
      for (let i = 0; i < 60; i++)
        await twin.call(PUT, { key: b(`k${String(i).padStart(2, '0')}`), value: Buffer.alloc(100_000, 'v') })
      await twin.collect(RANGE_STREAM, EVERYTHING)
      await twin.collect(RANGE_STREAM, { ...EVERYTHING, limit: 55n })
    },
  },
  {
    name: 'kv: what a range stream refuses',
    run: async (twin) => {
      const last = await fill(twin)
      await twin.collect(RANGE_STREAM, {})
      for (const sortOrder of [0, 1, 2, 3])
        for (const sortTarget of [0, 1, 5])
          await twin.collect(RANGE_STREAM, { ...EVERYTHING, sortOrder, sortTarget } as never)
      await twin.collect(RANGE_STREAM, { ...EVERYTHING, minModRevision: 1n })
      await twin.collect(RANGE_STREAM, { ...EVERYTHING, minModRevision: 1n, sortOrder: 2 })
      await twin.collect(RANGE_STREAM, { ...EVERYTHING, revision: 1n })
      await twin.collect(RANGE_STREAM, { ...EVERYTHING, revision: last + 1n, countOnly: true })
      await twin.collect(RANGE_STREAM, { key: b('a'), serializable: true })
      await twin.collect(RANGE_STREAM, { key: b('none') })
    },
  },
]

const DELETES: readonly Case[] = [
  {
    name: 'kv: deletes of ranges, with and without what was there',
    run: async (twin) => {
      for (const prevKv of [false, true])
        for (const [key, end] of [
          ['', ''],
          ['a', ''],
          ['none', ''],
          ['b', 'a'],
          ['b', 'b'],
          ['a', 'c'],
          ['c', '\0'],
          ['\0', '\0'],
        ]) {
          await fill(twin)
          await twin.call(DELETE_RANGE, { key: b(key ?? ''), rangeEnd: b(end ?? ''), prevKv })
        }
    },
  },
  {
    name: 'kv: compaction, and reads of what it took',
    run: async (twin) => {
      const last = await fill(twin)
      await twin.call(DELETE_RANGE, { key: b('b') })
      for (const revision of [-1n, 0n, 1n, last + 2n, 9223372036854775807n]) await twin.call(COMPACT, { revision })
      for (const [revision, physical] of [
        [last - 3n, false],
        [last - 3n, true],
        [last - 4n, true],
        [last, true],
        [last + 1n, true],
        [last + 1n, false],
      ] as const) {
        await twin.call(COMPACT, { revision, physical })
        for (let at = last - 6n; at <= last + 2n; at++) await twin.call(RANGE, { ...EVERYTHING, revision: at })
      }
      await put(twin, 'b', 'again')
      await twin.call(RANGE, { key: ZERO, rangeEnd: ZERO })
    },
  },
]

export const KV_CASES: readonly Case[] = [...NEW_STORE, ...PUTS, ...RANGES, ...STREAMS, ...DELETES]
