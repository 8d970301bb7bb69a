import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWrong } from './large.ts'

test('what is large or comes fast is bounded in memory, is all carried out, and costs no election', async () => {
  assert.deepEqual(await findWrong(2), { tried: 2, wrong: undefined })
})
