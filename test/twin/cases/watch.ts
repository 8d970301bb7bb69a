import { COMPACT, DELETE_RANGE, TXN } from '../methods.ts'
import type { Twin } from '../twin.ts'
import { WatchPair } from '../watch-pair.ts'
import { b, put, ZERO, type Case } from './case.ts'

async function withWatch(twin: Twin, run: (watch: WatchPair) => Promise<void>, headers = {}): Promise<void> {
  const watch = new WatchPair(twin, 'one', headers)
  try {
    await watch.open()
    await run(watch)
  } finally {
    watch.close()
  }
}

async function changes(twin: Twin): Promise<bigint> {
  await put(twin, 'a', '1')
  await put(twin, 'b', '2')
  await twin.call(TXN, {
    success: [
      { request: { $case: 'requestPut', value: { key: b('c'), value: b('3') } } },
      { request: { $case: 'requestDeleteRange', value: { key: b('a') } } },
      { request: { $case: 'requestPut', value: { key: b('b'), value: b('4') } } },
    ],
  })
  return (await twin.call(DELETE_RANGE, { key: ZERO, rangeEnd: ZERO }))?.header?.revision ?? 0n
}

export const WATCH_CASES: readonly Case[] = [
  {
    name: 'watch: from now on and from the past, with filters and previous values',
    run: (twin) =>
      withWatch(twin, async (watch) => {
        const first = await changes(twin)
        for (const filters of [[], [0], [1], [0, 1], [7]])
          for (const prevKv of [false, true])
            for (const startRevision of [0n, first - 3n, first])
              await watch.create({ key: b('a'), rangeEnd: b('z'), filters: filters as never, prevKv, startRevision })
        await watch.create({ key: b('b'), prevKv: true, startRevision: first - 2n })
        await watch.drain(await changes(twin))
      }),
  },
  {
    name: 'watch: ranges, also none and inverted ones',
    run: (twin) =>
      withWatch(twin, async (watch) => {
        const last = await changes(twin)
        for (const [key, end] of [
          ['', ''],
          ['', '\0'],
          ['', 'b'],
          ['b', ''],
          ['b', '\0'],
          ['b', 'a'],
          ['b', 'b'],
          ['\0', '\0'],
          ['c', 'd'],
        ])
          await watch.create({ key: b(key ?? ''), rangeEnd: b(end ?? ''), startRevision: last - 3n })
        await watch.drain(await changes(twin))
      }),
  },
  {
    name: 'watch: IDs, chosen and given, twice and unknown',
    run: (twin) =>
      withWatch(twin, async (watch) => {
        for (const watchId of [0n, 1n, 0n, 7n, 7n, 0n, -3n]) await watch.create({ key: b('a'), watchId })
        const last = await changes(twin)
        await watch.drain(last)
        for (const watchId of [7n, 7n, 99n, 0n]) await watch.cancel(watchId)
        await watch.create({ key: b('a'), watchId: 7n })
        await watch.drain(await changes(twin))
      }),
  },
  {
    name: 'watch: starts that are compacted or negative',
    run: async (twin) => {
      const last = await changes(twin)
      await twin.call(COMPACT, { revision: last - 1n })
      for (const [startRevision, isCompacted] of [
        [1n, true],
        [last - 2n, true],
        [last - 1n, false],
        [last, false],
        [-1n, false],
      ] as const)
        await withWatch(twin, async (watch) => {
          await watch.create({ key: ZERO, rangeEnd: ZERO, startRevision, prevKv: true }, isCompacted)
          if (isCompacted) watch.compare()
          else await watch.drain(last)
        })
    },
  },
  {
    name: 'watch: a stream that asks for a leader',
    run: (twin) =>
      withWatch(
        twin,
        async (watch) => {
          await watch.create({ key: b('a') })
          await watch.drain(await changes(twin))
        },
        { hasleader: 'true' },
      ),
  },
]
