/**
 * npm run test:page: a headless Chromium looks at the operator's page, wide and as a phone, light and dark, by keyboard, while clusters
 * change and the operator comes and goes. With --screenshots=DIRECTORY it keeps what it saw.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../../lib/system-clock.ts'
import { createPage, type Page } from '../../operator/page/page.ts'
import { closeServer } from '../../operator/probes.ts'
import { ensureChromium } from '../e2e/machine/chromium.ts'
import { Browser, type View } from './browser.ts'
import { HOSTILE, objectOf, type Scene, sceneAt } from './scene.ts'

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'e2e')
const { values } = parseArgs({ options: { screenshots: { type: 'string' } } })

const WIDE: View = { width: 1280, height: 900, isDark: false }
const PHONE: View = { width: 390, height: 844, isDark: false }

interface Shown {
  readonly browser: Browser
  readonly page: Page
  readonly scene: Scene
  readonly url: string
  /** Clusters. */
  readonly count: number
}

function pageOf(scene: Scene): Page {
  const objects = [...new Map(scene.looks.map((look) => [look.uid, objectOf(look)])).values()]
  const page = createPage({ clock: systemClock, version: '0.1.0', clusters: () => objects, isWorking: () => true })
  for (const look of scene.looks) page.looked(look)
  const events = page.alsoShowing({ emit: () => undefined })
  for (const [look, type, reason, message] of scene.events) events.emit(objectOf(look), type, reason, 'Act', message)
  return page
}

async function keep({ browser }: Shown, name: string): Promise<void> {
  if (values.screenshots === undefined) return
  mkdirSync(values.screenshots, { recursive: true })
  writeFileSync(join(values.screenshots, `${name}.png`), await browser.screenshot())
}

const TEXT = 'document.body.innerText'
const says = (text: string): string => `${TEXT}.includes(${JSON.stringify(text)})`
const NO_SIDEWAYS = 'document.documentElement.scrollWidth <= innerWidth'
const GRAPH = "document.querySelectorAll('svg .led').length >= 3 && document.querySelector('svg .line') !== null"

/** Another document each time, whatever stands behind the #. */
async function open({ browser, url, count }: Shown, hash: string): Promise<void> {
  await browser.open('about:blank')
  await browser.open(`${url}/${hash}`)
  await browser.until(`document.querySelectorAll('#clusters a').length === ${count}`)
}

async function showsAll(shown: Shown): Promise<void> {
  const { browser } = shown
  for (const isDark of [false, true]) {
    await browser.look({ ...WIDE, isDark })
    await open(shown, '#/shop/orders')
    await browser.until(GRAPH)
    for (const text of [
      'Ready',
      'orders-2',
      '1\u2009227\u2009740',
      '41.0 MiB',
      '10Gi',
      'all members are voters and serve',
      'Live',
    ])
      // prettier-ignore
      await browser.until(says(text))
    assert.equal(await browser.evaluate(NO_SIDEWAYS), true)
    const [red = 0] = ((await browser.evaluate('getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)')) as number[]) // prettier-ignore
    assert.equal(red < 128, isDark)
    await keep(shown, isDark ? 'dark' : 'light')
  }
  await browser.look({ ...WIDE, isDark: true })
  await open(shown, '#/shop/sessions')
  for (const text of ['Under way', 'Add sessions-3', 'Catch up', '120 of 800 MB', 'sessions-3 joins as learner'])
    await browser.until(says(text))
  assert.equal(await browser.evaluate("document.querySelector('.steps [aria-current=step]').textContent"), 'Catch up')
  await keep(shown, 'under-way')
  await open(shown, '#/payments/ledger')
  await browser.until(says('(2 times)'))
}

async function escapes(shown: Shown): Promise<void> {
  const { browser } = shown
  await browser.look(WIDE)
  await open(shown, `#/zz/${encodeURIComponent(HOSTILE)}`)
  await browser.until(`document.querySelector('h2').textContent === ${JSON.stringify(`zz/${HOSTILE}`)}`)
  assert.notEqual(await browser.evaluate('document.title'), 'owned')
  assert.equal(await browser.evaluate("document.querySelectorAll('img, body script').length"), 0)
  assert.equal(await browser.evaluate(NO_SIDEWAYS), true)
}

async function isLive(shown: Shown): Promise<void> {
  const { browser, page, scene } = shown
  await browser.look(WIDE)
  await open(shown, '#/shop/orders')
  const look = scene.looks.findLast(({ name }) => name === 'orders')
  assert(look !== undefined)
  const status = { ...look.status, leader: 'orders-2', term: 10, commitIndex: 7_654_321 }
  page.looked({ ...look, atMs: Date.now(), status })
  await browser.until(says('7\u2009654\u2009321'))
  await browser.until("document.querySelector('.members .leader th').textContent === 'orders-2'")
}

async function byKeyboard(shown: Shown): Promise<void> {
  const { browser } = shown
  await browser.look(WIDE)
  await open(shown, '#/payments/archive')
  const chosen = "document.querySelector('nav [aria-current]').textContent"
  for (const [key, name] of [
    ['j', 'ledger'],
    ['j', 'orders'],
    ['k', 'ledger'],
  ] as const) {
    // prettier-ignore
    await browser.press(key)
    await browser.until(`${chosen}.includes('${name}')`)
  }
  for (let tabs = 0; (await browser.evaluate("document.activeElement.matches('nav a')")) !== true; tabs++) {
    assert.ok(
      tabs < 5,
      `Tab gets to the list, not to ${String(await browser.evaluate('document.activeElement.outerHTML'))}`,
    )
    await browser.press('Tab')
  }
}

async function asPhone(shown: Shown): Promise<void> {
  const { browser } = shown
  await browser.look(PHONE)
  await open(shown, '')
  assert.equal(await browser.evaluate("getComputedStyle(document.querySelector('main')).display"), 'none')
  assert.equal(await browser.evaluate(NO_SIDEWAYS), true)
  await keep(shown, 'phone-list')
  await browser.evaluate("[...document.querySelectorAll('#clusters a')].find((a) => a.textContent.includes('sessions')).click()") // prettier-ignore
  await browser.until(`${says('Under way')} && ${GRAPH}`)
  assert.equal(await browser.evaluate("getComputedStyle(document.querySelector('nav')).display"), 'none')
  assert.equal(await browser.evaluate(NO_SIDEWAYS), true)
  await keep(shown, 'phone')
  await browser.evaluate("document.querySelector('.back').click()")
  await browser.until("getComputedStyle(document.querySelector('nav')).display !== 'none'")
}

/** The operator is restarted on the same address, as behind a port-forward. */
async function comesBack(shown: Shown, server: Server): Promise<Server> {
  const { browser, page } = shown
  const { port } = server.address() as AddressInfo
  await browser.look(WIDE)
  await open(shown, '#/shop/orders')
  closeServer(server)
  await browser.until(says('Connection lost'))
  const again = await page.listen({ host: '127.0.0.1', port })
  await browser.until(says('Live'))
  return again
}

/** Where it is served, until it ends. */
async function serve(scene: Scene): Promise<Omit<Shown, 'browser'> & { readonly server: Server }> {
  const page = pageOf(scene)
  const server = await page.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.address() as AddressInfo
  const count = new Set(scene.looks.map(({ name }) => name)).size
  return { page, scene, server, count, url: `http://127.0.0.1:${port}` }
}

const scene = sceneAt(Date.now())
const harmless = {
  looks: scene.looks.filter(({ name }) => name !== HOSTILE),
  events: scene.events.filter(([{ name }]) => name !== HOSTILE),
}
const calm = await serve(harmless)
const all = await serve(scene)
const servers = [calm.server, all.server]
const browser = await Browser.start(await ensureChromium(CACHE))
try {
  for (const step of [showsAll, asPhone, byKeyboard, isLive]) {
    await step({ ...calm, browser })
    console.log(step.name)
  }
  await escapes({ ...all, browser })
  assert.deepEqual(browser.complaints, [])
  servers.push(await comesBack({ ...calm, browser }, calm.server))
} finally {
  await browser.close()
  for (const server of servers) closeServer(server)
}
console.log('the page shows what there is: light, dark, as a phone, by keyboard, live, and nothing hostile as markup')
