import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ok } from '../../lib/result.ts'
import type { ServiceTable } from './service.ts'
import { unknownMethod } from './unknown-method.ts'

const services: ServiceTable = { '/a.B/C': { kind: 'unary', handle: (request) => ok(request) } }

test('what is not served is named as grpc-go names it', () => {
  assert.equal(unknownMethod(services, '/a.B/C'), undefined)
  assert.equal(unknownMethod(services, '/a.B/D'), 'unknown method D for service a.B')
  assert.equal(unknownMethod(services, '/a.B/'), 'unknown method  for service a.B')
  assert.equal(unknownMethod(services, '/a/C'), 'unknown service a')
  assert.equal(unknownMethod(services, '/x/y/z'), 'unknown service x/y')
  assert.equal(unknownMethod(services, '/a.B'), 'malformed method name: "/a.B"')
  assert.equal(unknownMethod(services, '/constructor'), 'malformed method name: "/constructor"')
})
