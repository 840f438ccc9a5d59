import { describe, expect, test } from 'vitest';
import { checkSettings, type HdfsSettings } from '../src/settings.ts';
import { settingsOf } from './support/settings.ts';

const check = (own: Partial<HdfsSettings>): string[] =>
  checkSettings(settingsOf({ nameNodes: ['http://nn1:9870'], ...own })).map(String);

describe('the settings', () => {
  test.each([
    ['http://nn1:9870', 'http://nn1:9870/webhdfs/v1'],
    ['http://nn1:9870/', 'http://nn1:9870/webhdfs/v1'],
    ['https://nn1', 'https://nn1/webhdfs/v1'],
    ['http://[::1]:9870', 'http://[::1]:9870/webhdfs/v1'],
    ['https://knox:8443/gateway/default/webhdfs/v1', 'https://knox:8443/gateway/default/webhdfs/v1'],
    ['https://knox:8443/gateway/default/webhdfs/v1//', 'https://knox:8443/gateway/default/webhdfs/v1'],
  ])('take %s for %s', (address, url) => {
    expect(check({ nameNodes: [address] })).toEqual([url]);
  });

  test.each(['nn1:9870', 'nn1', '', 'hdfs://nn1:8020', 'http://'])('refuse the address %j', (address) => {
    expect(() => check({ nameNodes: ['http://nn2:9870', address] })).toThrow(
      expect.objectContaining({
        code: 'STORE_MISCONFIGURED',
        message: expect.stringContaining(JSON.stringify(address)),
        hint: expect.stringContaining('http://nn1:9870'),
      }),
    );
  });

  test.each([
    ['http://nn1:9870?delegation=SECRET', 'http://nn1:9870'],
    ['http://nn1:9870#SECRET', 'http://nn1:9870'],
    ['http://me:SEC/RET@nn1:9870', '//...@nn1:9870'],
    ['http://me:SEC@RET@nn1:9870', '//...@nn1:9870'],
  ])('refuse the address %j, and do not repeat what may be secret', (address, told) => {
    let message = '';
    try {
      check({ nameNodes: [address] });
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain(told);
    expect(message).not.toMatch(/SEC|RET/);
  });

  test('refuse an address with a password, and do not repeat it', () => {
    const wrong = () => check({ nameNodes: ['http://me:secret@nn1:9870'] });
    expect(wrong).toThrow(expect.objectContaining({ code: 'STORE_MISCONFIGURED' }));
    expect(wrong).not.toThrow(/secret/);
  });

  test.each([
    { certFile: 'cert.pem' },
    { keyFile: 'key.pem' },
    { user: 'robust', delegationToken: 'token' },
    { user: 'robust', delegationTokenFile: 'token.txt' },
    { delegationToken: 'token', delegationTokenFile: 'token.txt' },
    { path: '/a:b' },
    { path: '/a/../b' },
    { path: '/./a' },
    { prefix: '../' },
    { prefix: '/a/' },
    { prefix: 'a//b' },
    { prefix: 'a:' },
  ])('refuse %j', (own) => {
    expect(() => check(own)).toThrow(
      expect.objectContaining({ code: 'STORE_MISCONFIGURED', hint: expect.stringMatching(/./) }),
    );
  });

  test.each([
    { certFile: 'cert.pem', keyFile: 'key.pem' },
    { delegationToken: 'token' },
    { delegationTokenFile: 'token.txt' },
    { path: '/user/robust/a b/ü' },
    { prefix: 'team-' },
    { prefix: 'a/b/' },
  ])('take %j', (own) => {
    expect(check(own)).toHaveLength(1);
  });
});
