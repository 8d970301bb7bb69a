/** Bugs in HTTP/2 and in the engine over it. The tests beside them must notice each. */
import type { Mutant } from './plant.ts'

const HTTP2 = 'node-server/http2'

export const HTTP2_MUTANTS: readonly Mutant[] = [
  {
    name: 'HTTP/2: a frame may be longer than agreed',
    file: `${HTTP2}/frame-reader.ts`,
    find: 'if (length > MAX_FRAME_BYTES)',
    replace: 'if (length > 2 * MAX_FRAME_BYTES)',
  },
  {
    name: 'HTTP/2: a list of fields has no bound',
    file: `${HTTP2}/hpack-decoder.ts`,
    find: 'return this.#listBytes > this.#maxListBytes ? undefined : this.#fields',
    replace: 'return this.#fields',
  },
  {
    name: 'HTTP/2: a block is taken for what it meant before the table changed',
    file: `${HTTP2}/head-cache.ts`,
    find: 'if (version !== this.#version) return undefined',
    replace: '',
  },
  {
    name: 'HTTP/2: a block that the table learns from is remembered',
    file: `${HTTP2}/head-decoder.ts`,
    find: 'if (this.#decoder.version === version) this.#known.add(bytes, start, end, version, route)',
    replace: 'this.#known.add(bytes, start, end, this.#decoder.version, route)',
  },
  {
    name: 'HTTP/2: a stream may send more than its window',
    file: `${HTTP2}/requests.ts`,
    find: 'if (stream.receiveWindow < 0) return this.#cut(stream, ErrorCode.flowControlError)',
    replace: '',
  },
  {
    name: "HTTP/2: answers go beyond a stream's window",
    file: `${HTTP2}/stream.ts`,
    find: '    this.sendWindow -= length\n',
    replace: '',
  },
  {
    name: "HTTP/2: answers go beyond the connection's window",
    file: `${HTTP2}/output.ts`,
    find: '    this.window -= length\n',
    replace: '',
  },
  {
    name: 'HTTP/2: a header block may go on forever',
    file: `${HTTP2}/header-blocks.ts`,
    find: 'block.bytes > this.#maxBytes || block.parts.length > MAX_CONTINUATIONS',
    replace: 'block.bytes > this.#maxBytes',
  },
  {
    name: 'HTTP/2: calls may be opened and given up without a bound',
    file: `${HTTP2}/requests.ts`,
    find: '    this.#port.countReset()\n    const stream',
    replace: '    const stream',
  },
  {
    name: 'HTTP/2: what comes for a stream that we have reset is an error',
    file: `${HTTP2}/closed-streams.ts`,
    find: "return id === -streamId ? 'reset-by-us' : 'unknown'",
    replace: "return id === -streamId ? 'ended' : 'unknown'",
  },
  {
    name: 'HTTP/2: while draining, what came after the last word is served',
    file: `${HTTP2}/requests.ts`,
    find: 'if (this.#port.isDraining) return // its',
    replace: '// its',
  },
  {
    name: 'HTTP/2: streams do not learn that their connection has failed',
    file: `${HTTP2}/requests.ts`,
    find: '      this.#open.delete(stream.id)\n      stream.close(false)\n',
    replace: '',
  },
  {
    name: 'gRPC: what is left of a message is kept where it was read',
    file: 'node-server/grpc/message-reader.ts',
    find: 'if (this.#start < this.#end) this.#copy(this.heldBytes)',
    replace: 'if (this.#start < this.#end) return',
  },
  {
    name: 'gRPC: a message stays in a buffer that is larger than it',
    file: 'node-server/grpc/message-reader.ts',
    find: 'Math.max(bytes, Math.min(2 * bytes, PREFIX_BYTES + nextLength))',
    replace: '2 * bytes',
  },
  {
    name: 'gRPC: a length that is claimed takes memory',
    file: 'node-server/grpc/message-reader.ts',
    find: 'Math.min(2 * bytes, PREFIX_BYTES + nextLength)',
    replace: 'PREFIX_BYTES + nextLength',
  },
  {
    name: 'gRPC: what gzip hides has no bound',
    file: 'node-server/grpc/built-in-call.ts',
    find: '{ maxOutputLength: maxReceiveBytes }',
    replace: '{}',
  },
  {
    name: 'gRPC: a deadline is forgotten when its slot comes round',
    file: 'node-server/grpc/deadlines.ts',
    find: 'if (call.deadlineMs <= nowMs) due.push(call)',
    replace: 'due.push(call)',
  },
  {
    name: 'gRPC: a stream takes requests that nobody has asked for',
    file: 'node-server/grpc/built-in-stream.ts',
    find: '    if (!this.#isAsked) return\n',
    replace: '',
  },
]
