/** What every backend must do; run over each of them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LogIndex } from '../../../lib/ids.ts'
import { SNAPSHOT_PIECE_SIZE_BYTES } from '../../limits.ts'
import {
  PINNED_PIECE_ROWS,
  SNAPSHOT_UNIT_SIZE_BYTES,
  type Backend,
  type PinnedStore,
  type ScanOptions,
  type Table,
  type TableEntry,
  type Write,
} from '../backend.ts'
import { encodeMeta, META_KEY, NEW_STORE_META, readMeta } from '../meta.ts'

export interface BackendUnderTest {
  open(): Promise<Backend>
  /** The same data once more, after the backend was closed; undefined when it lives only in memory. */
  reopen?(): Promise<Backend>
  /** What was pinned, as a store of its own. */
  receive(pieces: AsyncIterable<Uint8Array>): Promise<Backend>
  /** Takes away what is on the disk of a store that was closed. */
  remove?(): Promise<void>
  cleanUp(): Promise<void>
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const put = (key: string, value: string): Write => ({ table: 'current', key: bytes(key), value: bytes(value) })
const remove = (key: string): Write => ({ table: 'current', key: bytes(key), value: undefined })

function scan(backend: Backend, start: string, end: string | undefined, options?: ScanOptions): string[] {
  const entries = backend.scan('current', bytes(start), end === undefined ? undefined : bytes(end), options)
  return Array.from(entries, lineOf)
}

function lineOf({ key, value }: TableEntry): string {
  return `${Buffer.from(key).toString('latin1')}=${Buffer.from(value).toString('latin1')}`
}

async function pinnedRows(pinned: PinnedStore, table: Table): Promise<string[]> {
  return (await Array.fromAsync(pinned.rows(table))).flat().map(lineOf)
}

export function testBackend(name: string, prepare: () => BackendUnderTest): void {
  const run = (title: string, body: (backend: Backend, under: BackendUnderTest) => Promise<void>): void => {
    void test(title, async () => {
      const under = prepare()
      const backend = await under.open()
      try {
        await body(backend, under)
      } finally {
        await backend.close()
        await under.cleanUp()
      }
    })
  }

  void describe(`backend: ${name}`, () => {
    run('a commit is visible once it resolved, and tables are apart', async (backend) => {
      assert.equal(backend.get('current', bytes('a')), undefined)
      await backend.commit([put('a', '1'), put('b', ''), { table: 'history', key: bytes('a'), value: bytes('h') }])
      assert.deepEqual(Buffer.from(backend.get('current', bytes('a')) ?? []), bytes('1'))
      assert.deepEqual(Buffer.from(backend.get('current', bytes('b')) ?? bytes('missing')), bytes(''))
      assert.deepEqual(Buffer.from(backend.get('history', bytes('a')) ?? []), bytes('h'))
      await backend.commit([put('a', '2'), remove('b'), remove('never there')])
      assert.deepEqual(scan(backend, 'a', undefined), ['a=2'])
    })

    run('of two writes to one key in a commit the later one counts', async (backend) => {
      await backend.commit([put('a', '1'), remove('a'), put('b', '1'), put('b', '2'), remove('c'), put('c', '3')])
      assert.deepEqual(scan(backend, 'a', undefined), ['b=2', 'c=3'])
    })

    run('scans have their start and not their end, in both directions, with a limit', async (backend) => {
      await backend.commit(['a', 'b', 'c', 'd'].map((key) => put(key, key)))
      assert.deepEqual(scan(backend, 'b', 'd'), ['b=b', 'c=c'])
      assert.deepEqual(scan(backend, 'b', 'd', { isReverse: true }), ['c=c', 'b=b'])
      assert.deepEqual(scan(backend, 'aa', 'cc'), ['b=b', 'c=c'])
      assert.deepEqual(scan(backend, 'aa', 'cc', { isReverse: true }), ['c=c', 'b=b'])
      assert.deepEqual(scan(backend, 'b', undefined, { limit: 2 }), ['b=b', 'c=c'])
      assert.deepEqual(scan(backend, 'b', undefined, { isReverse: true, limit: 2 }), ['d=d', 'c=c'])
      assert.deepEqual(scan(backend, 'a', 'd', { isReverse: true, limit: 1 }), ['c=c'])
      assert.deepEqual(scan(backend, 'x', undefined), [])
      assert.deepEqual(scan(backend, 'x', 'z', { isReverse: true }), [])
      assert.deepEqual(scan(backend, 'A', 'a', { isReverse: true }), [])
      assert.deepEqual(scan(backend, 'a', 'b', { limit: 0 }), [])
    })

    run('keys are ordered byte by byte, zero and 255 included', async (backend) => {
      const keys = ['\0', '\0\0', '\0\x01', 'a', 'a\0', 'a\xff', 'b', '\xff', '\xff\xff']
      await backend.commit(keys.toReversed().map((key) => put(key, '')))
      assert.deepEqual(
        scan(backend, '\0', undefined),
        keys.map((key) => `${key}=`),
      )
      assert.deepEqual(
        scan(backend, '\0', undefined, { isReverse: true }),
        keys.toReversed().map((key) => `${key}=`),
      )
      assert.deepEqual(scan(backend, 'a', 'b'), ['a=', 'a\0=', 'a\xff='])
    })

    run('counts what a scan yields', async (backend) => {
      await backend.commit(['a', 'b', 'c', 'd'].map((key) => put(key, key)))
      assert.equal(backend.count('current', bytes('b'), bytes('d')), 2)
      assert.equal(backend.count('current', bytes('b'), undefined), 3)
      assert.equal(backend.count('current', bytes('x'), undefined), 0)
      assert.equal(backend.count('history', bytes('\0'), undefined), 0)
      const none = { count: 0, next: undefined }
      assert.deepEqual(backend.countSome('history', bytes('\0'), undefined, 1), none)
      for (const rows of [1, 2, 100]) {
        let count = 0
        for (let next: Uint8Array | undefined = bytes('b'); next !== undefined;) {
          const some = backend.countSome('current', next, bytes('d'), rows)
          count += some.count
          next = some.next
        }
        assert.equal(count, 2)
      }
    })

    run('takes keys and values of megabytes', async (backend) => {
      const key = 'k'.repeat(3_000_000)
      const value = 'v'.repeat(1_500_000)
      await backend.commit([put(key, value), put(`${key}1`, 'one'), put('l', 'l')])
      assert.equal(Buffer.from(backend.get('current', bytes(key)) ?? []).toString('latin1'), value)
      assert.equal(Buffer.from(backend.get('current', bytes(`${key}1`)) ?? []).toString('latin1'), 'one')
      assert.equal(backend.get('current', bytes(`${key}2`)), undefined)
      assert.deepEqual(scan(backend, `${key}0`, undefined), [`${key}1=one`, 'l=l'])
      assert.equal(backend.count('current', bytes(key), bytes(`${key}1`)), 1)
    })

    run('a scan that is left early leaves nothing open', async (backend) => {
      await backend.commit(['a', 'b', 'c'].map((key) => put(key, key)))
      for (let round = 0; round < 300; round++) for (const _ of backend.scan('current', bytes('a'), undefined)) break
      await backend.commit([put('d', 'd')])
      assert.deepEqual(scan(backend, 'c', undefined), ['c=c', 'd=d'])
    })

    run("returned bytes are the caller's", async (backend) => {
      await backend.commit([put('a', 'first'), put('b', 'other')])
      const first = backend.get('current', bytes('a'))
      const [scanned] = [...backend.scan('current', bytes('a'), undefined)]
      backend.get('current', bytes('b'))
      await backend.commit([put('a', 'again')])
      backend.get('current', bytes('a'))
      assert.equal(Buffer.from(first ?? []).toString(), 'first')
      assert.equal(Buffer.from(scanned?.value ?? []).toString(), 'first')
    })

    run(
      'what is pinned is one commit, whatever comes after it; as a stream it is a store again',
      async (backend, under) => {
        const meta = (appliedIndex: number): Write => {
          const value = encodeMeta({ ...NEW_STORE_META, appliedIndex: LogIndex(appliedIndex) })
          return { table: 'meta', key: META_KEY, value }
        }
        await backend.commit([put('a', '1'), put('b', '1'), meta(1)])
        const pinning = backend.pin()
        const [pinned] = await Promise.all([pinning, backend.commit([put('a', '2'), put('b', '2'), meta(2)])])
        await backend.defragment()
        await backend.commit([put('a', '3'), meta(3)])
        const pieces = await Array.fromAsync(pinned.read())
        const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0)
        assert.deepEqual([sizeBytes, sizeBytes % SNAPSHOT_UNIT_SIZE_BYTES], [pinned.sizeBytes, 0])
        assert.ok(pieces.every(({ length }) => length > 0 && length <= SNAPSHOT_PIECE_SIZE_BYTES))
        const { appliedIndex } = pinned.meta
        assert.deepEqual(await pinnedRows(pinned, 'current'), [`a=${appliedIndex}`, `b=${appliedIndex}`])
        const copy = await under.receive(pinned.read())
        await pinned.release()
        assert.deepEqual(scan(copy, 'a', undefined), [`a=${appliedIndex}`, `b=${appliedIndex}`])
        assert.deepEqual(readMeta(copy), pinned.meta)
        await copy.commit([put('c', 'its own')])
        await copy.close()
        assert.deepEqual(scan(backend, 'a', undefined), ['a=3', 'b=2'])
      },
    )

    run('the rows of what is pinned come in pieces, each once and in order', async (backend) => {
      const small = Array.from({ length: 1200 }, (_, i) => put(`${1000 + i}`, 'v'))
      await backend.commit([...small, put('3', 'l'.repeat(600_000)), put('4', 'm'.repeat(300_000)), put('5', '')])
      const pinned = await backend.pin()
      const pieces = await Array.fromAsync(pinned.rows('current'))
      assert.deepEqual(pieces.flat().map(lineOf), scan(backend, '\0', undefined))
      assert.ok(pieces.every((piece) => piece.length <= PINNED_PIECE_ROWS))
      assert.deepEqual(
        pieces.slice(-2).map((piece) => piece.length),
        [1, 1],
        'a piece ends with a large value',
      )
      assert.deepEqual(await pinnedRows(pinned, 'history'), [])
      await pinned.release()
    })

    run('what is pinned stays when the store is closed, until it is released', async (backend, under) => {
      await backend.commit([put('a', '1')])
      const pinned = await backend.pin()
      await backend.close()
      await under.remove?.()
      assert.deepEqual(await pinnedRows(pinned, 'current'), ['a=1'])
      const copy = await under.receive(pinned.read())
      assert.deepEqual(scan(copy, 'a', undefined), ['a=1'])
      await copy.close()
      await pinned.release()
    })

    run(
      'a defragmentation changes nothing of what is there, and commits that come meanwhile count',
      async (backend) => {
        await backend.commit(Array.from({ length: 200 }, (_, i) => put(`key ${i}`, 'v'.repeat(2000))))
        await backend.commit(Array.from({ length: 190 }, (_, i) => remove(`key ${i}`)))
        const defragmented = backend.defragment()
        await Promise.all([backend.commit([put('later', '1')]), defragmented])
        assert.equal(backend.count('current', bytes('key '), bytes('key z')), 10)
        assert.deepEqual(scan(backend, 'later', undefined), ['later=1'])
      },
    )

    run('the size grows with what is stored', async (backend) => {
      const before = backend.size()
      await backend.commit(Array.from({ length: 500 }, (_, index) => put(`key ${index}`, 'v'.repeat(1000))))
      const after = backend.size()
      assert.ok(after.inUseBytes >= before.inUseBytes + 500_000, `${before.inUseBytes} → ${after.inUseBytes}`)
      assert.ok(after.totalBytes >= after.inUseBytes)
    })

    run('what was committed is there after closing and opening', async (backend, under) => {
      if (under.reopen === undefined) return
      await backend.commit([put('a', '1'), put('b', '2')])
      await backend.close()
      const again = await under.reopen()
      assert.deepEqual(scan(again, 'a', undefined), ['a=1', 'b=2'])
      await again.close()
    })
  })
}
