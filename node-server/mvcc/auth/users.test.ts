import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wrongWithUsers } from '../testing/users-property.ts'

test('what a user may do is decided at the auth revision that is in force when the entry is applied, alike everywhere', async () => {
  assert.equal(await wrongWithUsers(150), undefined)
})
