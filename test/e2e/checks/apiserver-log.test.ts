import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorKinds, unknownErrors } from './apiserver-log.ts'

const at = (message: string): string => `E1123 03:56:38.123456      17 ${message}`

test('lines that are not errors are no kind', () => {
  assert.equal(errorKinds('I1123 03:56:38.123456 17 a.go:1] fine\nW1123 03:56:38.1 17 a.go:2] hm\n\n').size, 0)
})

test('what differs only in numbers is one kind, and so is all that tells of a lost member', () => {
  const log = [
    at('watcher.go:342] "watch chan error" err="rpc error: code = Unavailable desc = etcdserver: leader changed"'),
    at('watcher.go:342] "watch chan error" err="rpc error: code = Unavailable desc = error reading from server: EOF"'),
    at('lease.go:251] "Failed to update" err="etcdserver: leader changed"'),
    at(
      'controller.go:251] "Failed to update lease" err="Operation cannot be fulfilled on leases.coordination.k8s.io \\"apiserver-wlv32\\": the object has been modified; please try again"',
    ),
    at('status.go:71] "wrapped" revision=17'),
    at('status.go:71] "wrapped" revision=18'),
  ].join('\n')
  assert.equal(errorKinds(log).size, 2)
})

test('an error that the other run does not have is told with its line', () => {
  const known = new Set(errorKinds(at('status.go:71] "x" err="etcdserver: leader changed"')).keys())
  const strange = at('status.go:71] "x" err="rpc error: code = Internal desc = malformed"')
  assert.deepEqual(unknownErrors([strange, at('status.go:71] "x" err="etcdserver: no leader"')].join('\n'), known), [
    strange,
  ])
  assert.deepEqual(unknownErrors(at('other.go:71] "x" err="etcdserver: mvcc: something"'), known).length, 1)
  assert.deepEqual(unknownErrors(at('other.go:71] "x" err="etcdserver: no leader"'), new Set()).length, 1)
})
