import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFeatureGates } from './feature-gates.ts'

test('gates are off and on by default as in etcd, and a text of them changes some', () => {
  assert.deepEqual(readFeatureGates(''), {
    gates: { initialCorruptCheck: false, compactHashCheck: false },
    warnings: [],
    problems: [],
  })
  const { gates, problems } = readFeatureGates('InitialCorruptCheck=true, CompactHashCheck=T')
  assert.deepEqual(gates, { initialCorruptCheck: true, compactHashCheck: true })
  assert.deepEqual(problems, [])
})

test('AllAlpha stands for the alpha ones that are not named', () => {
  const { gates, problems } = readFeatureGates(
    'AllAlpha=true,CompactHashCheck=false,LeaseCheckpoint=false,LeaseCheckpointPersist=false',
  )
  assert.deepEqual(gates, { initialCorruptCheck: true, compactHashCheck: false })
  assert.deepEqual(problems, [])
})

test('a gate without meaning here is a warning when it is not at its default; one that is missed is refused', () => {
  assert.deepEqual(readFeatureGates('FastLeaseKeepAlive=true,PriorityRequest=false').warnings, [])
  assert.match(readFeatureGates('PriorityRequest=true').warnings.join(), /PriorityRequest has no effect: requests are/)
  assert.match(readFeatureGates('AllBeta=false').warnings.join(), /FastLeaseKeepAlive .*TxnModeWriteWithSharedBuffer /)
  assert.match(readFeatureGates('LeaseCheckpoint=true').problems.join(), /^LeaseCheckpoint cannot be had: a new leader/)
})

test('what is no gate, or no switch, is named', () => {
  assert.match(
    readFeatureGates('Nope=true').problems.join(),
    /^'Nope' is no feature: there are AllAlpha, AllBeta, Compact/,
  )
  assert.match(readFeatureGates('constructor=true').problems.join(), /^'constructor' is no feature/)
  assert.match(readFeatureGates('CompactHashCheck').problems.join(), /is not of the form Name=true/)
  assert.match(readFeatureGates('CompactHashCheck=yes').problems.join(), /is not of the form Name=true/)
})
