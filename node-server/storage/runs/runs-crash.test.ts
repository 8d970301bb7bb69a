import assert from 'node:assert/strict'
import { test } from 'node:test'
import { liveUndisturbed, strike } from './testing/crash-points.ts'

const { operations, journal } = await liveUndisturbed()

test('the story has commits, merges, removals and a received copy in it', () => {
  const count = (what: RegExp): number => journal.filter((operation) => what.test(operation)).length
  assert.ok(count(/^rename .*store\/manifest/) > 13, 'merges beside the commits')
  assert.ok(count(/^remove .*\.run/) > 20)
  assert.equal(count(/^rename .*\/data\/copy$/), 1)
})

test('crashed at any operation of the disk, exactly one commit is found: the last acknowledged or a later one', async () => {
  for (let atOperation = 1; atOperation <= operations; atOperation++) await strike({ atOperation, kind: 'crash' }, 1)
})

test('so is it when an operation fails, and the process ends or goes on', async () => {
  for (let atOperation = 1; atOperation <= operations; atOperation++) {
    await strike({ atOperation, kind: atOperation % 2 === 0 ? 'EIO' : 'ENOSPC' }, 0)
  }
})
