import {
  Compare_CompareTarget as Target,
  type Compare,
  type RequestOp,
} from '../../../node-server/proto/generated/etcd/rpc.ts'
import { RANGE, TXN, COMPACT, type Part } from '../methods.ts'
import type { Twin } from '../twin.ts'
import { b, EVERYTHING, put, ZERO, type Case } from './case.ts'

const opPut = (key: string, more: object = {}): Part<RequestOp> => ({
  request: { $case: 'requestPut', value: { key: b(key), value: b('txn'), ...more } },
})
const opDelete = (key: string, end = '', prevKv = false): Part<RequestOp> => ({
  request: { $case: 'requestDeleteRange', value: { key: b(key), rangeEnd: b(end), prevKv } },
})
const opRange = (more: object = {}): Part<RequestOp> => ({
  request: { $case: 'requestRange', value: { ...EVERYTHING, ...more } },
})
const opTxn = (
  success: Part<RequestOp>[],
  failure: Part<RequestOp>[] = [],
  compare: Part<Compare>[] = [],
): Part<RequestOp> => ({
  request: { $case: 'requestTxn', value: { compare, success, failure } },
})
const never: Part<Compare> = {
  key: b('a'),
  target: Target.VERSION,
  result: 2,
  targetUnion: { $case: 'version', value: 0n },
}

async function run(twin: Twin, ...success: Part<RequestOp>[]): Promise<void> {
  await twin.call(TXN, { success })
}

export const TXN_CASES: readonly Case[] = [
  {
    name: 'txn: every target and result of a compare, on keys that are there and not, single and ranged',
    run: async (twin) => {
      await put(twin, 'a', '1')
      const revision = await put(twin, 'b', '2')
      await put(twin, 'b', '3')
      for (const [key, end] of [
        ['a', ''],
        ['none', ''],
        ['a', 'c'],
        ['x', 'z'],
        ['\0', '\0'],
        ['b', 'a'],
      ])
        for (let result = 0; result <= 4; result++)
          for (const [target, targetUnion] of [
            [0, { $case: 'version', value: 1n }],
            [0, undefined],
            [1, { $case: 'createRevision', value: revision }],
            [2, { $case: 'modRevision', value: revision }],
            [3, { $case: 'value', value: b('2') }],
            [3, undefined],
            [3, { $case: 'version', value: 1n }],
            [4, { $case: 'lease', value: 0n }],
            [5, { $case: 'lease', value: 0n }],
          ] as const)
            await twin.call(TXN, {
              compare: [{ key: b(key ?? ''), rangeEnd: b(end ?? ''), result, target, targetUnion }],
            } as never)
    },
  },
  {
    name: 'txn: what is refused before it is looked at',
    run: async (twin) => {
      await put(twin, 'a')
      await twin.call(TXN, {})
      await run(twin, {})
      await run(twin, opPut(''), opPut('a'), opPut('a'))
      await run(twin, opPut('a'), opPut('a'))
      await run(twin, opPut('a', { ignoreValue: true }))
      await run(twin, opPut('a', { ignoreLease: true, lease: 3n }))
      await run(twin, opPut('none', { ignoreLease: true, lease: 3n }))
      await run(twin, opPut('none', { ignoreLease: true }))
      await run(twin, opPut('none', { lease: 3n, ignoreValue: true, value: b('') }))
      await run(twin, opRange({ key: b('') }))
      await run(twin, opRange({ sortOrder: 7 }))
      await run(twin, opDelete(''))
      await run(twin, opTxn([opTxn([opPut('')])]))
      await twin.call(TXN, { compare: [{ key: b('') }], success: [opPut('')] })
      await twin.call(TXN, { failure: [opPut('')], success: [opPut('a')] })
      await run(twin, opPut('x'), opPut('none', { ignoreValue: true, value: b('') }))
      await twin.call(RANGE, EVERYTHING)
    },
  },
  {
    name: 'txn: how many operations there may be',
    run: async (twin) => {
      const many = (count: number): Part<RequestOp>[] => Array.from({ length: count }, (_, i) => opPut(`k${i}`))
      await run(twin, ...many(128))
      await run(twin, ...many(129))
      await twin.call(TXN, { failure: many(129) })
      await twin.call(TXN, { compare: Array.from({ length: 129 }, () => ({ key: b('a') })) })
      await run(twin, ...many(127), opTxn([]))
      await run(twin, ...many(126), opTxn([opPut('x')]))
      await run(twin, ...many(126), opTxn([opPut('x'), opPut('y'), opPut('z')]))
      await run(twin, ...many(127), opTxn([opPut('x')]))
    },
  },
  {
    name: 'txn: which overlaps are duplicates',
    run: async (twin) => {
      await put(twin, 'a')
      await put(twin, 'b')
      await run(twin, opPut('a'), opDelete('a'))
      await run(twin, opDelete('a', 'c'), opPut('b'))
      await run(twin, opDelete('a', 'c'), opPut('c'))
      await run(twin, opDelete('a', '\0'), opPut('b'))
      await run(twin, opPut('b'), opDelete('a', '\0'))
      await run(twin, opDelete('c', 'a'), opPut('b'))
      await run(twin, opDelete('a', 'c'), opDelete('b', 'd'))
      await run(twin, opTxn([opPut('a')], [opPut('a')]))
      await run(twin, opTxn([opDelete('a')], [opPut('a')]))
      await run(twin, opTxn([opPut('a')], [opDelete('a')]))
      await run(twin, opTxn([opPut('a')]), opPut('a'))
      await run(twin, opTxn([opPut('a')]), opTxn([opPut('a')]))
      await run(twin, opTxn([opDelete('a')]), opTxn([opPut('a')]))
      await run(twin, opTxn([opPut('a')]), opTxn([opDelete('a')]))
      await run(twin, opTxn([opPut('a')]), opDelete('a'))
      await run(twin, opTxn([opTxn([opPut('b')]), opTxn([opDelete('b')])]))
      await run(twin, opTxn([], [opPut('b')]), opTxn([opDelete('b')], []))
      await twin.call(RANGE, EVERYTHING)
    },
  },
  {
    name: 'txn: headers and revisions, of inner operations too',
    run: async (twin) => {
      await put(twin, 'a', '1')
      await run(twin, opRange(), opPut('a', { prevKv: true }), opRange(), opDelete('a', '', true), opRange())
      await run(
        twin,
        opRange(),
        opPut('a', { prevKv: true }),
        opRange(),
        opPut('b'),
        opRange({ keysOnly: true, limit: 1n }),
      )
      await run(twin, opDelete('none'), opRange({ countOnly: true }))
      await run(twin, opDelete('none'), opPut('x'), opDelete('none'), opRange({ revision: 0n }))
      await run(twin, opTxn([opRange(), opTxn([opPut('c', { prevKv: true })]), opRange()]), opDelete('c', '', true))
      await run(twin, opTxn([opPut('n')], [opRange()], [never]), opRange())
      await twin.call(TXN, { compare: [never], success: [opPut('z')], failure: [opTxn([], [opPut('y')], [never])] })
      await run(twin, opTxn([]), opTxn([opTxn([])]))
      await twin.call(RANGE, EVERYTHING)
    },
  },
  {
    name: 'txn: inner compares look at the state before the txn',
    run: async (twin) => {
      const isThere: Part<Compare> = {
        key: b('new'),
        target: Target.VERSION,
        result: 1,
        targetUnion: { $case: 'version', value: 0n },
      }
      await run(twin, opPut('new'), opTxn([opPut('wrong')], [opPut('right')], [isThere]))
      await twin.call(RANGE, EVERYTHING)
    },
  },
  {
    name: 'txn: ranges at revisions, compacted and of the future ones too',
    run: async (twin) => {
      const first = await put(twin, 'a', '1')
      await put(twin, 'a', '2')
      const last = await put(twin, 'a', '3')
      await twin.call(COMPACT, { revision: first + 1n })
      for (const revision of [-5n, -1n, 0n, 1n, first, first + 1n, last, last + 1n, last + 2n]) {
        await run(twin, opRange({ revision }))
        await run(twin, opPut('b'), opRange({ revision }))
        await run(twin, opTxn([opRange({ revision, serializable: true })]))
        await twin.call(TXN, { compare: [never], success: [opRange({ revision })], failure: [opRange()] })
      }
      await twin.call(RANGE, { key: ZERO, rangeEnd: ZERO })
    },
  },
]
