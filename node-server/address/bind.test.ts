import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { bind } from './bind.ts'

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ family }) => family === 'IPv6'),
)

test('0.0.0.0 is every address of both families, as in etcd', { skip: !hasIPv6 && 'no IPv6 here' }, async (t) => {
  const server = createServer((socket) => socket.end())
  t.after(() => server.close())
  const bound = await bind(server, { kind: 'tcp', host: '0.0.0.0', port: 0 })
  const [, port = ''] = /^0\.0\.0\.0:(\d+)$/.exec(bound) ?? []
  for (const host of ['127.0.0.1', '::1']) {
    const socket = connect({ host, port: Number(port) })
    await once(socket, 'connect')
    socket.destroy()
  }
})
