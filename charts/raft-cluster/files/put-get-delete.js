// Runs in the pod of `helm test`. A request that fails is repeated until the deadline: a member may be starting, or the leader moving.
import { readFileSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'

const { ENDPOINT, ROOT_PASSWORD } = process.env
const KEY = `helm-test/${process.pid}-${Date.now()}`
const REQUEST_MS = 5_000
const PAUSE_MS = 500
const deadlineMs = Date.now() + 60_000

const pem = (name) => {
  try {
    return readFileSync(`/tls/${name}`)
  } catch {
    return undefined
  }
}
const [ca, cert, key] = ['ca.crt', 'tls.crt', 'tls.key'].map(pem)
const isSecure = ca !== undefined
const base64 = (text) => Buffer.from(text).toString('base64')

function once(path, body, headers) {
  return new Promise((resolve, reject) => {
    const url = `${isSecure ? 'https' : 'http'}://${ENDPOINT}/v3/${path}`
    const options = { method: 'POST', headers, ca, cert, key, timeout: REQUEST_MS }
    const request = (isSecure ? https : http).request(url, options, (answer) => {
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk)).once('error', reject)
      answer.once('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (answer.statusCode === 200) resolve(JSON.parse(text))
        else reject(new Error(`${url} answers ${answer.statusCode}: ${text}`))
      })
    })
    request.once('timeout', () => request.destroy(new Error(`${url} does not answer`)))
    request.once('error', reject).end(JSON.stringify(body))
  })
}

async function call(path, body, headers = {}) {
  for (;;) {
    try {
      return await once(path, body, headers)
    } catch (error) {
      if (Date.now() >= deadlineMs) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }
}

const headers =
  ROOT_PASSWORD === undefined
    ? {}
    : { authorization: (await call('auth/authenticate', { name: 'root', password: ROOT_PASSWORD })).token }
await call('kv/put', { key: base64(KEY), value: base64('it works') }, headers)
const { kvs = [] } = await call('kv/range', { key: base64(KEY) }, headers)
if (kvs[0]?.value !== base64('it works')) throw new Error(`what was put is not there: ${JSON.stringify(kvs)}`)
await call('kv/deleterange', { key: base64(KEY) }, headers)
const { count = '0' } = await call('kv/range', { key: base64(KEY) }, headers)
if (count !== '0') throw new Error('what was deleted is still there')
console.log(`${ENDPOINT} puts, gets and deletes${isSecure ? ', by TLS' : ''}`)
