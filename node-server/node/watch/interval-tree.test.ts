import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { IntervalTree } from './interval-tree.ts'

interface Range {
  readonly start: string
  readonly end: string | undefined
}

const key = fc.constantFrom('', 'a', 'ab', 'b', 'ba', 'c', 'd', 'dd', 'e', '\u00ff')
const range = fc.record({ start: key, end: fc.option(key, { nil: undefined }) })
const text = ({ start, end }: Range): string => `${start}..${end ?? '∞'}`

function containing(tree: IntervalTree<Range>, key: string): readonly string[] {
  const found: string[] = []
  tree.forEachContaining(key, (range) => void found.push(text(range)))
  return found.toSorted()
}

test('after any insertions and removals a key is answered as by looking at every range', () => {
  const steps = fc.array(fc.record({ range, isRemoval: fc.boolean() }), { maxLength: 60 })
  fc.assert(
    fc.property(steps, (steps) => {
      const tree = new IntervalTree<Range>()
      const model = new Map<string, Range>()
      for (const { range, isRemoval } of steps) {
        const isThere = model.has(text(range))
        assert.equal(tree.get(range.start, range.end) !== undefined, isThere)
        if (isRemoval) {
          tree.remove(range.start, range.end)
          model.delete(text(range))
        } else if (!isThere) {
          tree.insert(range.start, range.end, range)
          model.set(text(range), range)
        }
      }
      for (const key of ['', 'a', 'aa', 'ab', 'b', 'c', 'cc', 'd', 'e', 'f', '\u00ff', '\u00ff\u00ff']) {
        const expected = [...model.values()].filter(
          ({ start, end }) => start <= key && (end === undefined || key < end),
        )
        assert.deepEqual(containing(tree, key), expected.map(text).toSorted())
      }
    }),
  )
})

test('ranges inserted in order make no deep tree: one of 100,000 levels would overflow the stack', () => {
  const tree = new IntervalTree<number>()
  const name = (i: number): string => String(i).padStart(6, '0')
  for (let i = 0; i < 100_000; i++) tree.insert(name(i), name(i + 2), i)
  const found: number[] = []
  tree.forEachContaining(name(50_000), (value) => void found.push(value))
  assert.deepEqual(found, [49_999, 50_000])
  for (let i = 0; i < 100_000; i++) if (i !== 70_000) tree.remove(name(i), name(i + 2))
  tree.forEachContaining(name(70_001), (value) => void found.push(value))
  assert.deepEqual(found, [49_999, 50_000, 70_000])
})
