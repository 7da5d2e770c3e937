;; One step of gradient descent with momentum on arrays in this memory, four
;; entries at a time. Offsets and lengths are in bytes, lengths multiples of 16
;; and at least 16. The formulas are those of SgdOptions.
(module
  (import "state" "memory" (memory 1))

  ;; v ← m·v + g + (α·w + μ·sign(w)), then w ← w − η·v
  (func (export "descend")
    (param $w i32) (param $v i32) (param $g i32) (param $length i32)
    (param $rate f32) (param $momentum f32) (param $decay f32) (param $l1 f32)
    (local $at i32) (local $weight v128) (local $velocity v128)
    (local $rates v128) (local $momenta v128) (local $decays v128) (local $pulls v128)
    (local.set $rates (f32x4.splat (local.get $rate)))
    (local.set $momenta (f32x4.splat (local.get $momentum)))
    (local.set $decays (f32x4.splat (local.get $decay)))
    (local.set $pulls (f32x4.splat (local.get $l1)))
    (loop $next
      (local.set $weight (v128.load (i32.add (local.get $w) (local.get $at))))
      (local.set $velocity
        (f32x4.add
          (f32x4.add
            (f32x4.mul (local.get $momenta) (v128.load (i32.add (local.get $v) (local.get $at))))
            (v128.load (i32.add (local.get $g) (local.get $at))))
          (f32x4.add
            (f32x4.mul (local.get $decays) (local.get $weight))
            ;; μ with the sign of w, and 0 where w is
            (v128.and
              (v128.or
                (local.get $pulls)
                (v128.and (v128.const i32x4 0x80000000 0x80000000 0x80000000 0x80000000) (local.get $weight)))
              (f32x4.ne (local.get $weight) (v128.const f32x4 0 0 0 0))))))
      (v128.store (i32.add (local.get $v) (local.get $at)) (local.get $velocity))
      (v128.store
        (i32.add (local.get $w) (local.get $at))
        (f32x4.sub (local.get $weight) (f32x4.mul (local.get $rates) (local.get $velocity))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $length)))))

  ;; w ← sign(w)·max(|w| − t, 0)
  (func (export "shrink") (param $w i32) (param $length i32) (param $threshold f32)
    (local $at i32) (local $weight v128) (local $left v128) (local $thresholds v128)
    (local.set $thresholds (f32x4.splat (local.get $threshold)))
    (loop $next
      (local.set $weight (v128.load (i32.add (local.get $w) (local.get $at))))
      (local.set $left
        (f32x4.max
          (f32x4.sub (f32x4.abs (local.get $weight)) (local.get $thresholds))
          (v128.const f32x4 0 0 0 0)))
      (v128.store
        (i32.add (local.get $w) (local.get $at))
        ;; No −0, and what is not a number stays none.
        (v128.and
          (v128.or
            (local.get $left)
            (v128.and (v128.const i32x4 0x80000000 0x80000000 0x80000000 0x80000000) (local.get $weight)))
          (f32x4.ne (local.get $left) (v128.const f32x4 0 0 0 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $length))))))
