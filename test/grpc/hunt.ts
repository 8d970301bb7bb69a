/** The tests of HTTP/2 and of the built-in engine, in this process: ends with 1 when one fails. For planted bugs. */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'

const FILES = [
  'node-server/http2/*.test.ts',
  'node-server/grpc/{built-in,deadlines,engine,engine-stream,message-reader}.test.ts',
]

const root = join(import.meta.dirname, '..', '..')
const files = FILES.flatMap((pattern) => globSync(pattern, { cwd: root })).map((file) => join(root, file))
let passed = 0
const tests = run({ files, isolation: 'none', concurrency: 1, timeout: 20_000 })
tests.on('test:fail', ({ name }) => {
  console.log(`CAUGHT by '${name}'`)
  process.exit(1)
})
tests.on('end', () => console.log(`${passed} tests pass`))
tests.on('test:pass', () => (passed += 1))
tests.resume()
