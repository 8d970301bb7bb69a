/**
 * `node:http` as it is loaded by `require`. An import statement asks for the value of every export, and with one of them Node loads
 * its client for WebSockets, which nobody here uses: a tenth of the processor time of a member's start, and 16 MB of memory.
 */
export const { createServer, METHODS } = process.getBuiltinModule('node:http')
