import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWrong } from './users.ts'

test('what a user may do is decided when it is applied, by the users and roles of that moment, on every member', async () => {
  assert.deepEqual(await findWrong(2), { tried: 2, wrong: undefined })
})
