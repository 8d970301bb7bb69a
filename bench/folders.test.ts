import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byFolder } from './folders.ts'

test('time by folder, package, module of Node and what V8 names itself; the longest first, without what was idle or is the profile’s', () => {
  const urls = [
    ['', '(idle)'],
    ['node:inspector', 'post'],
    ['', '(garbage collector)'],
    ['file:///home/x/node-server/http2/frame.ts', 'read'],
    ['file:///home/x/node-server/http2/sender.ts', 'send'],
    ['file:///home/x/node-server/node/replica/pipeline.ts', 'turn'],
    ['file:///home/x/node-server/limits.ts', ''],
    ['file:///home/x/node_modules/@grpc/grpc-js/build/src/server.js', 'call'],
    ['file:///home/x/node_modules/lmdb/read.js', 'get'],
    ['node:internal/http2/core', 'onread'],
    ['node:net', 'write'],
  ] as const
  const nodes = urls.map(([url, functionName], id) => ({ id, callFrame: { url, functionName } }))
  const samples = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  const timeDeltas = [1000, 500, 90, 50, 50, 80, 70, 60, 50, 40, 30]
  assert.deepEqual(
    [...byFolder({ nodes, samples, timeDeltas })],
    [
      ['node-server/http2/', 100],
      ['(garbage collector)', 90],
      ['node-server/node/replica/', 80],
      ['node-server/', 70],
      ['package @grpc/grpc-js', 60],
      ['package lmdb', 50],
      ['node:http2', 40],
      ['node:net', 30],
    ],
  )
})
