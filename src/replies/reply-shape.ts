/**
 * How Redis encodes a reply in RESP3, in comparison with RESP2. In all shapes, null strings and null arrays become nulls.
 *
 * - `same`: nothing else differs.
 * - `map`: an array of fields and values becomes a map.
 * - `set`: an array becomes a set.
 * - `scored`: an array of members and scores becomes an array of pairs, whose second elements are doubles.
 * - `double`: a string becomes a double.
 * - `doubles`: so do the strings in an array.
 * - `positions`: so do those in the arrays in an array.
 * - `located`: so do those in the arrays in the elements of an array, which are arrays.
 * - `wrapped`: the reply becomes the only element of an array.
 */
export type ReplyShape = 'same' | 'map' | 'set' | 'scored' | 'double' | 'doubles' | 'positions' | 'located' | 'wrapped';
