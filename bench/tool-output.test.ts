import assert from 'node:assert/strict'
import { test } from 'node:test'
import { err, ok } from '../lib/result.ts'
import { parseGap, parseReport } from './tool-output.ts'

/** As etcd 3.6's benchmark prints it. */
const PRINTED = `
Summary:
  Total:	6.4541 secs.
  Slowest:	0.2011 secs.
  Fastest:	0.0047 secs.
  Average:	0.1068 secs.
  Stddev:	0.0199 secs.
  Requests/sec:	9296.4110

Response time histogram:
  0.0047 [1]	|
  0.0243 [120]	|∎

Latency distribution:
  10% in 0.0857 secs.
  25% in 0.0946 secs.
  50% in 0.1050 secs.
  75% in 0.1164 secs.
  90% in 0.1316 secs.
  95% in 0.1431 secs.
  99% in 0.1625 secs.
  99.9% in 0.1912 secs.
`

test("a report's rate and times", () => {
  assert.deepEqual(parseReport(PRINTED), ok({ perSecond: 9296.411, p50Ms: 105, p99Ms: 162.5 }))
})

test('a report with failed requests is refused, and so is what is none', () => {
  const errors = '\nError distribution:\n  [12]\tetcdserver: request timed out\n'
  assert.deepEqual(parseReport(PRINTED + errors), err('requests failed: [12]\tetcdserver: request timed out'))
  assert.equal(parseReport('').ok, false)
})

test('the longest gap', () => {
  assert.equal(parseGap('under way\nLongest gap:\t1.4720 secs.\n'), 1.472)
  assert.equal(parseGap('under way\n'), undefined)
})
