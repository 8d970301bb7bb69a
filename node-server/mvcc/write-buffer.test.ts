import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { compareBytes } from '../../lib/bytes.ts'
import { MemoryBackend } from './memory-backend.ts'
import { WriteBuffer } from './write-buffer.ts'

const LONGEST = Buffer.alloc(5000, 0x6d)
const HIGHEST = Buffer.alloc(5000, 0xff)
const KEYS = [Buffer.from('a'), Buffer.from('b'), LONGEST, Buffer.from('n'), HIGHEST]
const BOUNDS = [
  ...KEYS,
  Buffer.alloc(0),
  Buffer.concat([LONGEST, Buffer.of(0)]),
  Buffer.concat([LONGEST, Buffer.of(0xff, 0xff)]),
  Buffer.concat([HIGHEST, Buffer.of(1)]),
]

test('reads see the newest of three layers, whatever the bounds', async () => {
  const layers = fc.array(fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.boolean()), { maxLength: 6 }), {
    minLength: 3,
    maxLength: 3,
  })
  const bounds = fc.tuple(fc.constantFrom(...BOUNDS), fc.option(fc.constantFrom(...BOUNDS), { nil: undefined }))
  await fc.assert(
    fc.asyncProperty(
      layers,
      bounds,
      fc.boolean(),
      fc.integer({ min: 0, max: 3 }),
      async (layers, [start, end], isReverse, limit) => {
        let release = (): void => undefined
        const gate = new Promise<void>((resolve) => (release = resolve))
        let commits = 0
        const backend = new MemoryBackend({ beforeCommit: () => (++commits === 2 ? gate : Promise.resolve()) })
        const buffer = new WriteBuffer(backend)
        const expected = new Map<Buffer, string>()
        let second: Promise<void> | undefined
        for (const [position, writes] of layers.entries()) {
          for (const [number, [key, isRemoval]] of writes.entries()) {
            if (isRemoval) buffer.remove('current', key)
            else buffer.put('current', key, Buffer.from(`${position}.${number}`))
            if (isRemoval) expected.delete(key)
            else expected.set(key, `${position}.${number}`)
          }
          if (position === 0) await buffer.commit()
          if (position === 1) second = buffer.commit()
        }
        const all = KEYS.filter(
          (key) =>
            expected.has(key) && compareBytes(key, start) >= 0 && (end === undefined || compareBytes(key, end) < 0),
        )
        const ordered = (isReverse ? all.toReversed() : all).slice(0, limit)
        const check = (): void => {
          const scanned = Array.from(buffer.scan('current', start, end, { isReverse, limit }), ({ value }) =>
            Buffer.from(value).toString(),
          )
          assert.deepEqual(
            scanned,
            ordered.map((key) => expected.get(key)),
          )
          assert.equal(buffer.count('current', start, end), all.length)
          let count = 0
          for (let next: Uint8Array | undefined = start; next !== undefined;) {
            const some = buffer.countSome('current', next, end, 1 + limit)
            count += some.count
            next = some.next
          }
          assert.equal(count, all.length)
          for (const key of KEYS) assert.equal(buffer.get('current', key)?.toString(), expected.get(key))
        }
        check()
        release()
        await second
        check()
      },
    ),
    { numRuns: 300 },
  )
})

test('an empty value is a value, and an empty key is not there', () => {
  const buffer = new WriteBuffer(new MemoryBackend())
  buffer.put('current', Buffer.from('a'), new Uint8Array(0))
  assert.equal(buffer.get('current', Buffer.from('a'))?.length, 0)
  assert.equal(buffer.count('current', Buffer.from('a'), undefined), 1)
  assert.equal(buffer.get('current', Buffer.alloc(0)), undefined)
  assert.throws(() => buffer.put('current', Buffer.alloc(0), Buffer.alloc(1)))
})
