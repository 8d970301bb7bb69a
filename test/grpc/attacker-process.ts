/** The process that attacks a port: by the names of attacks that it is told, one after the other, until it is told none. */
import { attack, TARGETS } from './attacks.ts'

const [target = '', port] = process.argv.slice(2)
const attacks = Object.entries(TARGETS).find(([name]) => name === target)?.[1] ?? []

let end = (): void => undefined
process.on('message', (name) => {
  end()
  const chosen = attacks.find((each) => each.name === name)
  end = chosen === undefined ? (): void => undefined : attack(chosen, Number(port))
  process.send?.('done')
})
process.on('disconnect', () => process.exit(0))
